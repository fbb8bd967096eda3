"""Where the API server is and who we are there: from a kubeconfig, or from the pod's service account.

Used by `KubeClient.connect`, and by commands that reach something else through the API server. Credentials that expire
are renewed by a hook that the configuration carries, and that kubernetes-asyncio calls before each request.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from kube.configuration import ConfigException, Configuration, load_incluster_config, load_kube_config
from kube.errors import KubeError
from proxies.environment import ProxyError, checked, proxy_for

if TYPE_CHECKING:
    from pathlib import Path

_RENEW_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Login:
    """How to get to the API server, for an HTTP client of another kind than `KubeClient`.

    `token` is None for a user with a certificate, which `context` then shows. `namespace` is the kubeconfig's own,
    `proxy` the URL of the proxy to go through.
    """

    url: str
    context: ssl.SSLContext
    token: str | None
    namespace: str
    proxy: str | None


async def login(kubeconfig: Path | None) -> Login:
    """Log in by the kubeconfig of a person. Raises KubeError with a sentence on what is missing or broken."""
    configuration = Configuration()
    loader = await _load_kubeconfig(configuration, kubeconfig)
    try:
        context = tls_context(configuration)
    except (OSError, ssl.SSLError) as error:
        raise KubeError(f"cannot use the certificates of {_name(kubeconfig)}: {error}") from error
    authorization: str = configuration.api_key.get("BearerToken", "")
    namespace = (loader.current_context or {}).get("context", {}).get("namespace") or "default"
    return Login(
        url=(configuration.host or "").rstrip("/"),
        context=context,
        token=authorization.removeprefix("Bearer ") or None,
        namespace=namespace,
        proxy=_proxy_of(configuration),
    )


async def load_configuration(kubeconfig: Path | None) -> Configuration:
    """Load how to reach the API server. Raises KubeError with a sentence on what is missing or broken."""
    configuration = Configuration()
    if kubeconfig is not None or not _load_service_account(configuration):
        await _load_kubeconfig(configuration, kubeconfig)
    configuration.proxy = _proxy_of(configuration)
    return configuration


def tls_context(configuration: Configuration) -> ssl.SSLContext:
    """Make what verifies the API server, and shows a certificate of ours if there is one. Raises OSError, SSLError."""
    context = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
    # From 3.13 on, Python refuses CA certificates without a key identifier. Many clusters have such; Go accepts them.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if not configuration.verify_ssl:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if configuration.cert_file:
        context.load_cert_chain(configuration.cert_file, configuration.key_file)
    return context


def _load_service_account(configuration: Configuration) -> bool:
    """Tell whether this is a pod. The configuration then has kubernetes-asyncio's own renewal of the pod's token."""
    try:
        load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
    except ConfigException:
        return False
    return True


async def _load_kubeconfig(configuration: Configuration, path: Path | None) -> Any:
    """Return the loader, which knows what a configuration has no place for."""
    # kubernetes-asyncio has read KUBECONFIG when it was imported, and takes an empty one for the name of a file.
    file = str(path or os.environ.get("KUBECONFIG") or "~/.kube/config")
    try:
        loader = await load_kube_config(config_file=file, client_configuration=configuration, persist_config=False)
    except (ConfigException, OSError, TypeError, ValueError, yaml.YAMLError) as error:
        raise KubeError(f"cannot use {_name(path)}: {' '.join(str(error).split())}") from error
    configuration.refresh_api_key_hook = _Renewal(loader)
    return loader


def _name(path: Path | None) -> str:
    return f"kubeconfig {path}" if path else "the default kubeconfig"


def _proxy_of(configuration: Configuration) -> str | None:
    """Find the proxy. The kubeconfig's own `proxy-url` goes before the environment, and knows no exceptions."""
    own: str | None = configuration.proxy
    try:
        return checked(own, "proxy-url of the kubeconfig") if own else proxy_for(configuration.host or "")
    except ProxyError as error:
        raise KubeError(str(error)) from error


class _Renewal:
    """Renews a kubeconfig's token (exec plugin, OIDC, token file) when it is about to expire; looks once a minute."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader
        self._next = asyncio.get_running_loop().time() + _RENEW_SECONDS

    async def __call__(self, configuration: Configuration) -> None:
        now = asyncio.get_running_loop().time()
        if now < self._next:
            return
        self._next = now + _RENEW_SECONDS  # before the wait, so that concurrent requests do not renew as well
        await self._loader.load_and_set(configuration)
