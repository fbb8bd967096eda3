"""What `doctor` hands from one check to the next, and what each of them says. No check is in here."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, TypeAlias

from temporalio.client import Client

from experiment_operator.settings import ReconcilingSettings
from kube.client import KubeClient


class Verdict(StrEnum):
    OK = "ok"
    WARNING = "warning"
    FAULT = "fault"
    UNCHECKED = "unchecked"


_SIGNS = {Verdict.OK: "✓", Verdict.WARNING: "!", Verdict.FAULT: "✗", Verdict.UNCHECKED: "-"}


@dataclass(frozen=True, slots=True)
class Finding:
    """`advice` says what to do about what was found; it is empty where that is nothing."""

    name: str
    verdict: Verdict
    found: str
    advice: str = ""

    def __str__(self) -> str:
        line = f"{_SIGNS[self.verdict]} {self.name}: {self.found}"
        return f"{line} → {self.advice}" if self.advice else line


def ok(name: str, found: str) -> Finding:
    return Finding(name, Verdict.OK, found)


def warning(name: str, found: str, advice: str = "") -> Finding:
    return Finding(name, Verdict.WARNING, found, advice)


def fault(name: str, found: str, advice: str) -> Finding:
    return Finding(name, Verdict.FAULT, found, advice)


def unchecked(name: str, why: str) -> Finding:
    return Finding(name, Verdict.UNCHECKED, f"not checked: {why}")


@dataclass(slots=True)
class DoctorContext:
    """What is examined. The two clients come from the checks that connect, and close with `stack`."""

    chosen: ReconcilingSettings
    stack: AsyncExitStack
    kube: KubeClient = field(init=False)
    temporal: Client = field(init=False)


Findings: TypeAlias = AsyncIterator[Finding]


class Check(NamedTuple):
    """`needs` are names of earlier checks, without which this one would say nothing that is not known already."""

    name: str
    needs: tuple[str, ...]
    make: Callable[[DoctorContext], Findings]
