"""The workflow names its steps; the worker has to know each of them under that name, with the payloads agreed on."""

from __future__ import annotations

from typing import get_type_hints
from unittest.mock import Mock

import pytest
from temporalio import activity

from experiments.contract import (
    CARRY_OUT,
    TAKE_SNAPSHOT,
    WRITE_STATUS,
    ActionRequest,
    ActionsRequest,
    Progress,
    SnapshotRequest,
    SnapshotResult,
    StatusRequest,
)
from experiments.options import Options
from experiments.plan import Step
from kube.caches import Caches
from kube.client import KubeClient
from worker.activities import Activities


@pytest.fixture
def registered():
    activities = Activities(Mock(KubeClient), Mock(Caches), Options())
    definitions = [activity._Definition.must_from_callable(function) for function in activities.all()]
    return {definition.name: definition for definition in definitions}


def test_all_that_a_plan_can_ask_for_and_no_more(registered):
    assert set(registered) == {TAKE_SNAPSHOT, CARRY_OUT, WRITE_STATUS, *Step}


@pytest.mark.parametrize(
    ("name", "request_type", "result_type"),
    [
        (TAKE_SNAPSHOT, SnapshotRequest, SnapshotResult),
        (CARRY_OUT, ActionsRequest, Progress),
        (WRITE_STATUS, StatusRequest, str),
        *((step, ActionRequest, str) for step in Step),
    ],
)
def test_each_takes_and_gives_what_the_workflow_expects(registered, name, request_type, result_type):
    assert registered[name].arg_types == [request_type]
    assert registered[name].ret_type == result_type
    assert get_type_hints(request_type), "resolved, so that payloads are decoded into it"
