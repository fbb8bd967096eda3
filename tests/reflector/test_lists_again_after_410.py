"""When the API server no longer has the version to go on from, a new list is compared with the cache."""

from __future__ import annotations

from typing import Any

from support.polling import until

GONE = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version: 10 (99)"}


async def test_410_as_an_answer_shows_what_the_gap_deleted(api: Any, watching: Any, told: Any) -> None:
    kept, deleted, added = api.config_map("kept"), api.config_map("deleted"), api.config_map("added", 90)
    api.lists = [api.page(10, kept, deleted), api.page(99, kept, added)]
    api.watches = [api.failing(410, GONE), api.stream()]
    async with watching() as reflector:
        await until(lambda: len(api.watch_queries) == 2)
        assert told.words == ["added kept", "added deleted", "deleted deleted", "added added"]
        assert [query["resourceVersion"] for query in api.watch_queries] == ["10", "99"]
        assert reflector.get("default", "deleted") is None
        assert reflector.error == ""


async def test_410_within_the_stream_shows_what_the_gap_changed(api: Any, watching: Any, told: Any) -> None:
    api.lists = [api.page(10, api.config_map("a", 1)), api.page(99, api.config_map("a", 50))]
    api.watches = [api.stream(api.event("ERROR", GONE)), api.stream()]
    async with watching() as reflector:
        await until(lambda: len(api.watch_queries) == 2)
        assert told.words == ["added a", "changed a"]
        assert reflector.get("default", "a")["metadata"]["resourceVersion"] == "50"


async def test_an_object_that_was_replaced_in_the_gap_is_a_change_with_two_uids(
    api: Any, watching: Any, told: Any
) -> None:
    api.lists = [api.page(10, api.config_map("a", 1, uid="old")), api.page(99, api.config_map("a", 50, uid="new"))]
    api.watches = [api.failing(410, GONE), api.stream()]
    async with watching():
        await until(lambda: len(told.changes) == 2)
        change = told.changes[1]
        assert (change.old["metadata"]["uid"], change.new["metadata"]["uid"]) == ("old", "new")


async def test_a_page_token_that_expired_starts_the_list_over(api: Any, watching: Any, told: Any) -> None:
    api.lists = [
        api.page(10, api.config_map("a"), more="token"),
        api.failing(410, GONE),
        api.page(99, api.config_map("b")),
    ]
    api.watches = [api.stream()]
    async with watching():
        await until(lambda: api.watch_queries)
        assert ["continue" in query for query in api.list_queries] == [False, True, False]
        assert told.words == ["added b"]  # half a list is none
