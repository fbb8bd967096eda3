"""The part of `doctor` that is about the admission webhook: whether the API server asks it, and can trust it."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from api.config import WEBHOOK, WEBHOOK_CONFIGURATION
from experiment_operator.doctor.report import DoctorContext, Finding, Findings, fault, ok, unchecked, warning
from experiment_operator.settings import Api, own_namespace
from kube.errors import ForbiddenError, NotFoundError
from kube.objects import SECRET, VALIDATING_WEBHOOK_CONFIGURATION, Object, ObjectRef
from webhook.x509 import read

_CERTIFICATE = "webhook certificate"
_RENEWED_BEFORE = timedelta(days=14)
_ADVICE = "look at the log of an api with WEBHOOK on, which keeps it, or of cert-manager where that does"


async def webhook(context: DoctorContext) -> Findings:
    chosen = context.chosen
    name = chosen.webhook_configuration if isinstance(chosen, Api) else WEBHOOK_CONFIGURATION
    try:
        found = await context.kube.get(ObjectRef(VALIDATING_WEBHOOK_CONFIGURATION, "", name))
    except NotFoundError:
        yield _absent(context, name)
        return
    except ForbiddenError:
        yield warning("webhook", f"ValidatingWebhookConfiguration {name} may not be read")
        return
    for hook in found["webhooks"]:
        yield ok("webhook", f"{hook['name']} is asked; when it does not answer: {hook['failurePolicy']}")
        yield await _certificate(context, hook["clientConfig"])


def _absent(context: DoctorContext, name: str) -> Finding:
    if isinstance(context.chosen, Api) and context.chosen.webhook:
        words = f"WEBHOOK is on, but there is no ValidatingWebhookConfiguration {name}"
        return warning("webhook", words, "kubectl apply -f deploy/webhook")
    return ok("webhook", "not installed; what it would refuse, the status says")


async def _certificate(context: DoctorContext, config: Object) -> Finding:
    """Check the one in the Secret that the api keeps, as the API server does when it calls."""
    if not config.get("caBundle"):
        return fault(_CERTIFICATE, "caBundle is empty, so the API server trusts none", _ADVICE)
    service = config.get("service")
    host = f"{service['name']}.{service['namespace']}.svc" if service else urlsplit(config["url"]).hostname or ""
    secret = context.chosen.webhook_name if isinstance(context.chosen, Api) else WEBHOOK
    ref = ObjectRef(SECRET, service["namespace"] if service else own_namespace(), secret)
    try:
        data = (await context.kube.get(ref)).get("data", {})
    except (NotFoundError, ForbiddenError) as error:
        return unchecked(_CERTIFICATE, str(error))
    now = datetime.now(UTC)
    try:
        issued = read(*map(base64.b64decode, (data.get("tls.crt", ""), data.get("tls.key", ""), config["caBundle"])))
        if now >= issued.until:
            return fault(_CERTIFICATE, f"expired on {issued.until:%Y-%m-%d %H:%M} UTC", _ADVICE)
        issued.authority([host], now)
    except ValueError as error:
        return fault(_CERTIFICATE, f"{ref}: {error}", _ADVICE)
    words = f"for {host} until {issued.until:%Y-%m-%d}"
    late = now + _RENEWED_BEFORE > issued.until
    return warning(_CERTIFICATE, f"{words}, and not renewed yet", _ADVICE) if late else ok(_CERTIFICATE, words)
