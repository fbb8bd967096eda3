"""Pages of what two sources know, neither of which lists by start, have each execution once and in order."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest

from api.executions import stretches
from api.executions.followers import Followers
from api.executions.pages import ExecutionQuery, page
from api.executions.rows import Subject
from api.executions.schemas import Execution
from api.executions.sources import Sources
from api.reconciliations.visibility import Runs
from experiments.contract import Target
from experiments.executions import ExecutionMemo, followed_workflow_id, rfc3339
from experiments.names import EXPERIMENT_ANNOTATION
from testkube.executions import Execution as InTestkube

_NOW = datetime.now(UTC).replace(microsecond=0)
_TARGET = Target("default", "weather", "a72ea94c")
_SUBJECT = Subject("default", "weather", "weather-workflow.default")


@dataclass
class Made:
    """An execution, and which of both knows it. It is followed `lag` after its start."""

    number: int
    start: datetime
    lag: timedelta
    followed: bool
    listed: bool
    verdict: str

    @property
    def id(self) -> str:
        return f"{self.number:024x}"

    @property
    def in_testkube(self) -> InTestkube:
        marks = {EXPERIMENT_ANNOTATION: "default/weather"}
        times = (self.start, None, None)
        return InTestkube(self.id, "", self.number, _SUBJECT.workflow, "passed", *times, annotations=marks)


@dataclass
class Run:
    """As visibility lists the run that follows it."""

    made: Made
    run_id: str = "run"
    close_time: datetime | None = None

    @property
    def id(self) -> str:
        return followed_workflow_id(_TARGET, self.made.id)

    @property
    def start_time(self) -> datetime:
        return self.made.start + self.made.lag

    async def memo(self) -> dict[str, Any]:
        made = self.made
        return ExecutionMemo(number=made.number, start_time=rfc3339(made.start), verdict=made.verdict).to_memo()


class Visibility:
    """Answers what `Followers` asks: by the start of runs, and in an order that tells nothing."""

    namespace = "default"

    def __init__(self, made: list[Made]) -> None:
        self.runs = [Run(each) for each in made if each.followed]
        self.data_converter = self
        self.payload_converter = None

    def _within(self, query: str) -> list[Run]:
        first, last = (
            datetime.fromisoformat(time) for time in re.findall(r"StartTime (?:>=|<) '([^']*)'", query)
        )  # fmt: skip
        return [run for run in self.runs if first <= run.start_time < last]

    async def count_workflows(self, query: str) -> Any:
        class Counted:
            count = len(self._within(query))

        return Counted

    def list_workflows(self, query: str, page_size: int) -> Any:
        found = sorted(self._within(query), key=lambda run: run.id)
        return Pages([found[start : start + page_size] for start in range(0, len(found), page_size)])


class Pages:
    """As the SDK's iterator hands them out."""

    def __init__(self, pages: list[list[Run]]) -> None:
        self._pages = pages or [[]]
        self.current_page: list[Run] | None = None
        self.next_page_token: bytes | None = None

    async def fetch_next_page(self) -> None:
        self.current_page = self._pages.pop(0)
        self.next_page_token = b"more" if self._pages else None


class Testkube:
    """Lists the newest first, and heeds a filter or not."""

    def __init__(self, made: list[Made], *, heeds: bool) -> None:
        self.made = sorted((each for each in made if each.listed), key=lambda each: (each.start, each.number))[::-1]
        self.heeds = heeds

    async def newest(self, workflow: str, query: dict[str, str]) -> AsyncIterator[InTestkube]:
        assert workflow == _SUBJECT.workflow
        until = datetime.fromisoformat(query["endDate"])
        for each in self.made:
            if not self.heeds or each.start <= until:
                yield each.in_testkube


def _make(random: Random, number: int, span: timedelta) -> list[Made]:
    starts = sorted(_NOW - span * random.random() for _ in range(number))
    made = []
    for index, start in enumerate(starts, 1):
        lag = random.choice([timedelta(seconds=3), timedelta(seconds=3), timedelta(hours=20) * random.random()])
        followed = random.random() < 0.8
        listed, verdict = not followed or random.random() < 0.5, random.choice(["Passed"] * 6 + ["Failed"])
        made.append(Made(index, start.replace(microsecond=0), lag, followed, listed, verdict))
    return made


async def _pages(made: list[Made], query: dict[str, Any], *, heeds: bool) -> list[list[Execution]]:
    visibility: Any = Visibility(made)
    testkube: Any = Testkube(made, heeds=heeds)
    found: list[list[Execution]] = []
    while True:
        sources = Sources(_SUBJECT, Followers(visibility), Runs(visibility, ""), testkube)
        asked = ExecutionQuery.model_validate(query)
        items, following = await page(sources.stretch, asked, "executions", asked.accepts)
        found.append(items)
        if following is None:
            return found
        query = {**query, "cursor": following}


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("span", [timedelta(minutes=20), timedelta(days=40)], ids=["crowded", "sparse"])
async def test_each_is_there_once_in_the_order_of_their_start(
    seed: int, span: timedelta, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = Random(seed)
    monkeypatch.setattr(stretches, "_FEW", random.choice([1, 30, 500]))
    monkeypatch.setattr("api.executions.pages._LEAST", random.choice([1, 20]))
    monkeypatch.setattr("api.executions.followers._PAGE_SIZE", random.choice([3, 200]))
    made = _make(random, random.randrange(90), span)
    limit = random.choice([1, 7, 50])
    pages = await _pages(made, {"limit": limit}, heeds=bool(seed % 2))
    expected = [each.id for each in sorted(made, key=lambda each: (each.start, each.number))][::-1]
    assert [item.execution_id for items in pages for item in items] == expected
    assert all(len(items) == limit for items in pages[:-1])


@pytest.mark.parametrize("seed", range(20))
async def test_filters_leave_all_that_fit(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    random = Random(seed)
    monkeypatch.setattr(stretches, "_FEW", 1)
    monkeypatch.setattr("api.executions.pages._LEAST", 1)
    monkeypatch.setattr("api.executions.pages._MAX_LOOKED_AT", random.choice([1, 10, 2000]))
    made = _make(random, 60, timedelta(days=9))
    since, until = sorted(_NOW - timedelta(days=9) * random.random() for _ in range(2))
    times = {"since": since.isoformat(), "until": until.isoformat()}
    pages = await _pages(made, {"limit": 4, "verdict": "Failed", **times}, heeds=True)
    fit = [each for each in made if each.followed and each.verdict == "Failed" and since <= each.start < until]
    expected = [each.id for each in sorted(fit, key=lambda each: (each.start, each.number))][::-1]
    assert [item.execution_id for items in pages for item in items] == expected
