"""The workflow in Temporal's sandbox, on a server that skips time, with steps that do what a test says.

A wait passes at once while a test awaits a result or `env.sleep`; all other time is real.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.client import WorkflowHandle
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment

from experiments.contract import Result
from localcluster.tools import tool
from support.scripted import ScriptedExperiment, StandIns
from support.temporal_server import start_dev_server
from temporal.search_attributes import KEYS


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--record-histories", action="store_true", help="record the histories that are replayed anew (tests/workflow)"
    )


@pytest.fixture(scope="module")
async def env(request: pytest.FixtureRequest) -> AsyncIterator[WorkflowEnvironment]:
    """Skips time; a real server, which does not, to record on."""
    if request.config.getoption("--record-histories"):
        starting = start_dev_server(search_attributes=KEYS, identity="recorder")
    else:
        starting = WorkflowEnvironment.start_time_skipping(
            data_converter=pydantic_data_converter, test_server_existing_path=str(tool("temporal-test-server"))
        )
    async with await starting as running:
        if running.supports_time_skipping:
            types = {key.name: int(key.indexed_value_type) for key in KEYS}
            request = AddSearchAttributesRequest(search_attributes=types)
            await running.client.operator_service.add_search_attributes(request)
        yield running


@pytest.fixture(scope="module")
def stand_ins() -> StandIns:
    return StandIns()


@pytest.fixture(scope="module")
async def at_work(env: WorkflowEnvironment, stand_ins: StandIns) -> AsyncIterator[StandIns]:
    """The stand-ins with a worker that runs for all tests of a file."""
    async with stand_ins.worker(env.client):
        yield stand_ins


@pytest.fixture
async def experiment(env: WorkflowEnvironment, at_work: StandIns) -> AsyncIterator[ScriptedExperiment]:
    scripted = at_work.experiment(env.client)
    yield scripted
    await scripted.end()


@pytest.fixture(scope="session")
def pauses() -> Callable[[WorkflowHandle[Any, Result]], Awaitable[list[float]]]:
    """`await pauses(handle)`: how long each wait of this run was meant to be, in seconds."""

    async def read(handle: WorkflowHandle[Any, Result]) -> list[float]:
        events: Iterable[HistoryEvent] = (await handle.fetch_history()).events
        timers = [event for event in events if event.event_type == EventType.EVENT_TYPE_TIMER_STARTED]
        return [e.timer_started_event_attributes.start_to_fire_timeout.ToTimedelta().total_seconds() for e in timers]

    return read
