"""A reader that was cut off goes on where it was, or is told that it must begin anew; it never misses an outcome."""

from __future__ import annotations

import pytest

from experiments.resources import EXPERIMENT
from kube.objects import ObjectRef
from support.polling import until
from support.streams import follow


@pytest.fixture
async def live(listen, caches, temporal):
    async with listen(caches, temporal) as api:
        yield api


def reasons(stream):
    return [event["data"]["reason"] for event in stream.events if event["event"] == "changed"]


@pytest.fixture(params=["all", "one"])
def path(request, namespace):
    return "/events" if request.param == "all" else f"/namespaces/{namespace}/experiments/weather/events"


async def test_goes_on_behind_the_last_event(live, create, change, path):
    await create("weather")
    async with follow(live, path) as stream:
        await until(lambda: "synced" in stream.names)
        await change("weather", "TemplateMissing")
        await until(lambda: reasons(stream) == ["TemplateMissing"])
        last = stream.last_id
    await change("weather", "GatewayMissing")
    await change("weather", "NameConflict")
    async with follow(live, path, last) as stream:
        await until(lambda: "NameConflict" in reasons(stream))
        assert reasons(stream) == ["GatewayMissing", "NameConflict"]
        assert "reset" not in stream.names
        last = stream.last_id
    async with follow(live, path, last) as stream:
        await change("weather", "Rejected")
        await until(lambda: reasons(stream) == ["Rejected"])


async def test_the_id_of_the_present_state_is_a_place_to_go_on_from(live, create, change, path):
    await create("weather")
    async with follow(live, path) as stream:
        await until(lambda: "synced" in stream.names)
        last = stream.last_id
        assert stream.events[0]["id"] == ""  # cut off in the middle of the state, a reader has to begin anew
        assert all("id" not in event for event in stream.events if event["event"] == "added")
    await change("weather", "TemplateMissing")
    async with follow(live, path, last) as stream:
        await until(lambda: "TemplateMissing" in reasons(stream))
        assert "reset" not in stream.names


@pytest.mark.parametrize("last", ["0badc0de-1", "nonsense", "-", "-1", "0badc0de-99999999999999999999999"])
async def test_an_id_that_is_not_known_begins_anew(live, create, namespace, path, last):
    await create("weather")
    async with follow(live, path, last) as stream:
        await until(lambda: "synced" in stream.names)
        assert stream.names[0] == "reset"
        assert stream.of(namespace, "weather") == ["added"]


async def test_an_id_from_the_future_begins_anew(live, create, path):
    await create("weather")
    async with follow(live, path) as stream:
        await until(lambda: "synced" in stream.names)
        epoch, _, number = stream.last_id.rpartition("-")
    async with follow(live, path, f"{epoch}-{int(number) + 1000}") as stream:
        await until(lambda: "synced" in stream.names)
        assert stream.names[0] == "reset"


async def test_an_id_that_has_left_the_ring_begins_anew_with_the_outcome(
    live, create, change, caches, namespace, path, monkeypatch
):
    monkeypatch.setattr("api.events.buffer._MAX_BYTES", 3000)
    await create("weather")
    async with follow(live, path) as stream:
        await until(lambda: "synced" in stream.names)
        last = stream.last_id
    for reason in ("TemplateMissing", "GatewayMissing", "NameConflict", "Rejected"):
        await change("weather", reason)
    ref = ObjectRef(EXPERIMENT, namespace, "weather")
    await until(lambda: caches.get(ref)["status"]["conditions"][0]["reason"] == "Rejected")
    async with follow(live, path, last) as stream:
        await until(lambda: "synced" in stream.names)
        assert stream.names[0] == "reset"
        (added,) = [event for event in stream.events if event["data"].get("namespace") == namespace]
        assert (added["event"], added["data"]["reason"]) == ("added", "Rejected")


async def test_a_deletion_is_told_to_one_who_was_away_and_a_newcomer_finds_nothing(
    live, create, kube, caches, namespace
):
    await create("weather")
    ref = ObjectRef(EXPERIMENT, namespace, "weather")
    path = f"/namespaces/{namespace}/experiments/weather/events"
    async with follow(live, path) as stream:
        await until(lambda: "synced" in stream.names)
        last = stream.last_id
    await kube.delete(ref, uid=(await kube.get(ref))["metadata"]["uid"])
    await until(lambda: caches.get(ref) is None)
    async with follow(live, path, last) as stream:
        await until(lambda: "deleted" in stream.names)
    assert (await live.get(f"/api/v1{path}")).status_code == 404


async def test_while_nobody_reads_for_long_nothing_is_kept(live, create, change, path, monkeypatch):
    monkeypatch.setattr("api.events.broadcast._POLL_SECONDS", 0.05)
    await create("weather")
    async with follow(live, path) as stream:
        await until(lambda: "synced" in stream.names)
        last = stream.last_id
    monkeypatch.setattr("api.events.broadcast._IDLE_SECONDS", 0.01)

    async def begins_anew():
        async with follow(live, path, last) as stream:
            await until(lambda: stream.events)
            return stream.names[0] == "reset"

    await change("weather", "TemplateMissing")
    await until(begins_anew)
