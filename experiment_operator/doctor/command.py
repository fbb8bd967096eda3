"""`experiment-operator doctor`: goes along the whole chain, in its order, and says in one line each what was found.

The checks are in the modules beside this one, what they hand on is in `report`. They write nothing anywhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

from pydantic import ValidationError
from pydantic_settings import SettingsError
from temporalio.service import RPCError

from experiment_operator import logs, settings
from experiment_operator.commands.output import Printer
from experiment_operator.doctor import children, kubernetes, templates, temporal, testkube, webhook
from experiment_operator.doctor.report import Check, DoctorContext, Finding, Verdict, fault, ok, unchecked
from experiments.models import sentences
from kube.errors import KubeError
from proxies.environment import ProxyError

_ROLES: dict[str, type[settings.ReconcilingSettings]] = {
    "watcher": settings.Watcher,
    "worker": settings.Worker,
    "api": settings.Api,
    "all": settings.All,
}
_SETTINGS, _API_SERVER, _TESTKUBE = "settings", "API server", "Testkube"
_TEMPORAL, _NAMESPACE = "Temporal", "Temporal namespace"
_CHECKS = (
    Check(_API_SERVER, (_SETTINGS,), kubernetes.api_server),
    Check("permissions", (_API_SERVER,), kubernetes.permissions),
    Check("Experiment CRD", (_API_SERVER,), kubernetes.experiment_crd),
    Check(_TESTKUBE, (_API_SERVER,), kubernetes.testkube),
    Check("Testkube control plane", (_TESTKUBE,), testkube.control_plane),
    Check("Testkube API", (_TESTKUBE,), testkube.api),
    Check("TestTriggers", (_TESTKUBE,), testkube.triggers),
    Check("templates", (_TESTKUBE,), templates.templates),
    Check("children", (_TESTKUBE,), children.left_behind),
    Check("agent runtime", (_API_SERVER,), kubernetes.agent_runtime),
    Check(_TEMPORAL, (_SETTINGS,), temporal.server),
    Check(_NAMESPACE, (_TEMPORAL,), temporal.namespace),
    Check("search attributes", (_NAMESPACE,), temporal.search_attributes),
    Check("task queue", (_NAMESPACE,), temporal.task_queue),
    Check("runs", (_NAMESPACE,), temporal.stuck_runs),
    Check("webhook", (_API_SERVER,), webhook.webhook),
)
_CHECK_TIMEOUT_SECONDS = 15.0


def doctor(chosen: settings.Doctor) -> int:
    """Print what was found. Returns the exit code: 1 where there is a fault, 0 also where there are warnings."""
    logs.configure("error", "auto", {})  # what goes wrong is said by the checks
    return asyncio.run(_doctor(chosen))


async def _doctor(chosen: settings.Doctor) -> int:
    found: list[Finding] = []
    async for finding in examine(chosen.role):
        found.append(finding)
        if chosen.output == "text":
            print(finding, flush=True)
    faults, warnings = (sum(f.verdict == each for f in found) for each in (Verdict.FAULT, Verdict.WARNING))
    if chosen.output == "text":
        print(f"\n{_count(faults, 'fault')}, {_count(warnings, 'warning')}")
    else:
        checks = [{"name": f.name, "verdict": str(f.verdict), "found": f.found, "advice": f.advice} for f in found]
        document = {"role": chosen.role, "faults": faults, "warnings": warnings, "checks": checks}
        Printer(chosen.output).document(document)
    return 1 if faults else 0


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


async def examine(role: str) -> AsyncIterator[Finding]:
    """Examine the settings in this process's environment, and all that they lead to."""
    async with AsyncExitStack() as stack:
        unsound: set[str] = set()
        try:
            context = DoctorContext(_ROLES[role](), stack)
            yield ok(_SETTINGS, f"those of {role} can be used")
        except ValidationError as error:
            unsound.add(_SETTINGS)
            for line in sentences(error):
                variable, _, problem = line.partition(": ")
                yield fault(_SETTINGS, f"{variable.upper()}: {problem}", "correct this environment variable")
        except SettingsError as error:
            unsound.add(_SETTINGS)
            yield fault(_SETTINGS, str(error), "correct this environment variable")
        for check in _CHECKS:
            if missing := [need for need in check.needs if need in unsound]:
                unsound.add(check.name)
                yield unchecked(check.name, f"needs {missing[0]}")
                continue
            for finding in await _bounded(check, context):
                if finding.verdict == Verdict.FAULT:
                    unsound.add(check.name)
                yield finding


async def _bounded(check: Check, context: DoctorContext) -> list[Finding]:
    try:
        async with asyncio.timeout(_CHECK_TIMEOUT_SECONDS):
            return [finding async for finding in check.make(context)]
    except TimeoutError:
        return [fault(check.name, f"no answer within {_CHECK_TIMEOUT_SECONDS:g} s", "look at the network in between")]
    except ProxyError as error:
        return [fault(check.name, str(error), "correct this environment variable")]
    except (KubeError, RPCError) as error:
        return [fault(check.name, str(error), "try again: it may have passed")]
