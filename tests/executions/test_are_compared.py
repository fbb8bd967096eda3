"""Whoever compares two executions sees what got worse first, whether the scores are in a file or in Temporal."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from kube.objects import Object
from support.evaluated import Evaluated
from support.polling import until


async def _compared(api: httpx.AsyncClient, **query: Any) -> dict[str, Any]:
    answer = await api.get("/executions/compare", params=query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


@pytest.fixture
async def three(api: httpx.AsyncClient, evaluated: Evaluated) -> list[Object]:
    """Three that were judged, and a newer one that had no scores."""
    made = [
        await evaluated.judged(*values, minutes=minutes)
        for minutes, values in ((30, (1.0, 0.1, 1.0)), (20, (1.0, 0.5, 0.95)), (10, (0.3, 0.6, 0.95)))
    ]
    await evaluated.judge(evaluated.execution("aborted"))
    await until(lambda: api.get("/executions"), lambda listed: all(row["verdict"] for row in listed.json()["items"]))
    return made


async def test_by_default_the_newest_that_was_judged_with_the_one_before(
    api: httpx.AsyncClient, three: list[Object]
) -> None:
    found = await _compared(api)
    assert (found["base"]["executionId"], found["head"]["executionId"]) == (three[1]["id"], three[2]["id"])
    assert [(each["metric"], each["effect"]) for each in found["items"]] == [
        ("m0", "worse"), ("m2", "same"), ("m1", "better"),
    ]  # fmt: skip
    worst = found["items"][0]
    assert (worst["base"]["passed"], worst["head"]["passed"], worst["change"]) == (True, False, pytest.approx(-0.7))
    assert found["counts"] == {"worse": 1, "same": 1, "better": 1}
    assert (found["baseScoresFrom"], found["headScoresFrom"]) == ("artifact", "artifact")


@pytest.mark.parametrize(
    ("base", "head", "chosen"),
    [(None, 1, (0, 1)), (0, None, (0, 2)), (2, 0, (2, 0)), (1, 1, (1, 1))],
    ids=["head", "base", "backwards", "same"],
)
@pytest.mark.parametrize("by", ["id", "number"])
async def test_either_is_chosen_by_id_or_number(
    api: httpx.AsyncClient, three: list[Object], base: int | None, head: int | None, chosen: tuple[int, int], by: str
) -> None:
    query = {name: three[index][by] for name, index in {"base": base, "head": head}.items() if index is not None}
    found = await _compared(api, **query)
    assert (found["base"]["executionId"], found["head"]["executionId"]) == tuple(three[each]["id"] for each in chosen)


async def test_what_testkube_has_forgotten_is_compared_by_what_temporal_kept(
    api: httpx.AsyncClient, evaluated: Evaluated, three: list[Object]
) -> None:
    before = await _compared(api)
    evaluated.testkube.executions.remove(three[1])
    found = await _compared(api)
    assert (found["baseScoresFrom"], found["headScoresFrom"]) == ("temporal", "artifact")
    assert found["items"] == before["items"]
    evaluated.testkube.trouble = "away"
    found = await _compared(api)
    assert (found["baseScoresFrom"], found["headScoresFrom"], len(found["unavailable"])) == ("temporal", "temporal", 1)
    assert found["items"] == before["items"]


async def test_what_is_new_is_told_from_what_is_gone(api: httpx.AsyncClient, evaluated: Evaluated) -> None:
    older, newer = await evaluated.judged(1.0, minutes=5), await evaluated.judged(1.0, 0.2)
    found = await _compared(api, base=older["id"], head=newer["id"])
    assert [(each["effect"], each["base"] is None) for each in found["items"]] == [("added", True), ("same", False)]
    found = await _compared(api, base=newer["id"], head=older["id"])
    assert [(each["effect"], each["head"] is None) for each in found["items"]] == [("removed", True), ("same", False)]


async def test_with_nothing_to_compare_it_is_a_404(api: httpx.AsyncClient, evaluated: Evaluated) -> None:
    async def refusal(**query: Any) -> str:
        answer = await api.get("/executions/compare", params=query)
        assert answer.status_code == 404
        return str(answer.json()["detail"])

    assert await refusal() == "No execution was judged, so there is nothing to compare."
    only, without = await evaluated.judged(1.0), evaluated.execution("running")
    assert "No execution was judged before execution 1" in await refusal(head=only["id"])
    assert "The scores of execution" in await refusal(base=only["id"], head=without["id"])
    assert "none has the number 77" in await refusal(base="77", head=only["id"])
