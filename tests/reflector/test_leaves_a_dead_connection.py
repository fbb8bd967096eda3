"""A connection that is open but dead is silent: no error, no event, not even a bookmark."""

from __future__ import annotations

from typing import Any

from support.polling import until


async def test_a_silent_watch_is_taken_up_again_from_the_last_event(api: Any, watching: Any, told: Any) -> None:
    api.lists = [api.page(10)]
    api.watches = [api.stream(api.event("ADDED", api.config_map("a", 11))), api.stream()]
    async with watching(idle_seconds=0.2) as reflector:
        await until(lambda: len(api.watch_queries) >= 2)
        assert reflector.error == ""  # a quiet resource is as silent
    assert [query["resourceVersion"] for query in api.watch_queries[:2]] == ["10", "11"]
    assert len(api.list_queries) == 1
    assert told.words == ["added a"]


async def test_bookmarks_move_the_version_on_and_change_nothing(api: Any, watching: Any, told: Any) -> None:
    api.lists = [api.page(10)]
    bookmark = api.event("BOOKMARK", {"kind": "ConfigMap", "metadata": {"resourceVersion": "42"}})
    api.watches = [api.stream(bookmark), api.stream()]
    async with watching(idle_seconds=0.2):
        await until(lambda: len(api.watch_queries) >= 2)
    assert [query["allowWatchBookmarks"] for query in api.watch_queries[:2]] == ["true", "true"]
    assert api.watch_queries[1]["resourceVersion"] == "42"
    assert told.words == []


async def test_the_server_is_asked_to_end_watches_at_different_times(api: Any, watching: Any) -> None:
    api.lists = [api.page(10)]
    api.watches = [api.stream(hold=False)]
    async with watching(watch_seconds=300):
        await until(lambda: len(api.watch_queries) >= 10)
    seconds = [int(query["timeoutSeconds"]) for query in api.watch_queries]
    assert 240 <= min(seconds) < max(seconds) <= 360
