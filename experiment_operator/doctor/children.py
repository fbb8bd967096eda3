"""The doctor on generated objects whose Experiment is gone: mostly somebody has removed its finalizer by hand."""

from __future__ import annotations

from collections import defaultdict

from experiment_operator.doctor.report import DoctorContext, Findings, ok, unchecked, warning
from experiments.names import CHILD_SUFFIXES, MANAGED_BY, MANAGER, experiment_of, is_original
from experiments.resources import EXPERIMENT
from kube.errors import ForbiddenError, NotServedError
from kube.objects import ObjectRef, ref_of

_NAME = "children"
_ADVICE = "a watcher that runs has them cleaned up within seconds: is there one, and may it list these objects?"


async def left_behind(context: DoctorContext) -> Findings:
    children: defaultdict[ObjectRef, list[ObjectRef]] = defaultdict(list)
    namespace = context.chosen.options.watched_in
    try:
        experiments = {ref_of(EXPERIMENT, obj) for obj in await context.kube.list(EXPERIMENT)}
        for resource in CHILD_SUFFIXES:
            selector = f"{MANAGED_BY}={MANAGER}"
            for child in await context.kube.list(resource, namespace=namespace, label_selector=selector):
                if (owner := experiment_of(child)) and is_original(child, expected=True):
                    children[ObjectRef(EXPERIMENT, *owner)].append(ref_of(resource, child))
    except (ForbiddenError, NotServedError) as error:
        yield unchecked(_NAME, str(error))
        return
    orphans = {experiment: found for experiment, found in children.items() if experiment not in experiments}
    for experiment, found in orphans.items():
        yield warning(_NAME, f"{experiment} is gone, and has left {', '.join(map(str, found))}", _ADVICE)
    if not orphans:
        yield ok(_NAME, f"of {len(children)} Experiments, none of which is gone")
