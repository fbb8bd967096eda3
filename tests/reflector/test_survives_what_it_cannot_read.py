"""Whatever comes down the wire, and whatever a subscriber does with it, the cache goes on."""

from __future__ import annotations

from typing import Any

import pytest

from support.polling import until


@pytest.mark.parametrize(
    "line",
    [
        b"\xff\xfe no JSON at all\n",
        b"<html>502 Bad Gateway</html>\n",
        b"[1, 2, 3]\n",
        b'{"kind": "Status", "code": 500}\n',
        b'{"type": "ADDED", "object": {"metadata": {}}}\n',
        b'{"type": "ADDED", "object": null}\n',
        b'{"type": "ERROR", "object": {"code": 500, "message": "etcd event received with PrevKv=nil"}}\n',
    ],
)
async def test_an_unreadable_event_costs_one_list(line: bytes, api: Any, watching: Any, told: Any) -> None:
    api.lists = [api.page(10), api.page(20, api.config_map("lost", 15))]
    api.watches = [api.stream(line), api.stream(api.event("ADDED", api.config_map("next", 21)))]
    async with watching():
        await until(lambda: "added next" in told.words)
    assert told.words == ["added lost", "added next"]
    assert len(api.list_queries) == 2


async def test_half_a_line_is_had_again_from_the_next_watch(api: Any, watching: Any, told: Any) -> None:
    first, second = (api.event("ADDED", api.config_map(name, n)) for name, n in (("first", 11), ("second", 12)))
    api.lists = [api.page(10)]
    api.watches = [api.stream(first, second[:30], hold=False), api.stream(second)]
    async with watching():
        await until(lambda: len(told.changes) == 2)
    assert told.words == ["added first", "added second"]
    assert api.watch_queries[1]["resourceVersion"] == "11"


async def test_an_event_may_come_in_pieces_and_be_large(api: Any, watching: Any, told: Any) -> None:
    large = api.event("ADDED", api.config_map("large", 11) | {"data": {"text": "ü" * 1_500_000}})
    pieces = [large[start : start + 700_001] for start in range(0, len(large), 700_001)]
    api.lists = [api.page(10)]
    api.watches = [api.stream(*pieces)]
    async with watching() as reflector:
        await until(lambda: told.changes)
        assert len(reflector.get("default", "large")["data"]["text"]) == 1_500_000


@pytest.mark.parametrize(
    "body", ["<html>welcome</html>", '{"unexpected": true}', '{"metadata": {}, "items": [null]}', "[]"]
)
async def test_a_list_that_is_none_is_an_error_until_it_is_one(body: str, api: Any, watching: Any, told: Any) -> None:
    api.lists = [api.failing(200, body)]
    api.watches = [api.stream()]
    async with watching() as reflector:
        await until(lambda: reflector.error)
        assert not reflector.synced
        api.lists = [api.page(10, api.config_map("a"))]
        await reflector.wait_synced()
    assert told.words == ["added a"]


async def test_a_subscriber_that_fails_on_one_object_gets_the_others(api: Any, watching: Any, told: Any) -> None:
    told.poison = "poison"
    api.lists = [api.page(10, *map(api.config_map, ("good", "poison", "fine")))]
    api.watches = [api.stream(api.event("ADDED", api.config_map("later", 11)))]
    async with watching() as reflector:
        await until(lambda: len(told.changes) == 4)
        assert told.words == ["added good", "added poison", "added fine", "added later"]
        assert reflector.get("default", "poison") is not None
    assert len(api.list_queries) == 1
