"""A server in trouble is asked less and less often, in the way that it asks for."""

from __future__ import annotations

from typing import Any

import pytest

from kube.backoff import Backoff
from support.polling import until

PAGE = "<html><head><title>502 Bad Gateway</title></head><body><center>nginx</center></body></html>"


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that a reflector would have made; it makes none."""
    made: list[float] = []
    really = Backoff.pause_after

    def pause_after(self: Backoff, lived: float) -> float:
        made.append(really(self, lived))
        return 0.0

    monkeypatch.setattr(Backoff, "pause_after", pause_after)
    return made


async def test_20_watches_that_close_at_once_take_more_than_a_minute(
    api: Any, watching: Any, pauses: list[float]
) -> None:
    api.lists = [api.page(10)]
    api.watches = [api.stream(hold=False)]
    async with watching(first_pause=0.5, max_pause=30):
        await until(lambda: len(api.watch_queries) >= 20)
    assert sum(pauses[:19]) > 60
    assert len(api.list_queries) == 1


async def test_pauses_double_with_jitter_up_to_a_limit() -> None:
    backoff = Backoff(first=0.5, max_pause=30)
    pauses = [backoff.pause_after(0.0) for _ in range(20)]
    limits = [0.5, 1, 2, 4, 8, 16, *[30] * 14]
    assert all(limit / 2 <= pause <= limit for pause, limit in zip(pauses, limits, strict=True))
    assert len(set(pauses)) == 20


async def test_a_watch_that_lived_for_a_while_starts_afresh() -> None:
    backoff = Backoff(first=0.5, max_pause=30)
    for _ in range(10):
        backoff.pause_after(0.0)
    assert backoff.pause_after(31.0) <= 0.5


async def test_retry_after_is_honoured(api: Any, watching: Any) -> None:
    api.lists = [api.failing(429, {"message": "too many requests"}, retry_after="1"), api.page(10)]
    api.watches = [api.stream()]
    async with watching() as reflector:
        await reflector.wait_synced()
    assert api.times[1] - api.times[0] >= 1.0


async def test_an_html_error_is_reported_in_a_few_words_and_passes(api: Any, watching: Any) -> None:
    api.lists = [api.failing(502, PAGE)]
    api.watches = [api.stream()]
    async with watching() as reflector:
        await until(lambda: reflector.error)
        assert reflector.error == "list configmaps: HTTP 502 502 Bad Gateway nginx"
        assert not reflector.synced
        api.lists = [api.page(10, api.config_map("a"))]
        await reflector.wait_synced()
        assert reflector.error == ""


async def test_a_watch_that_fails_keeps_the_cache_and_needs_no_new_list(api: Any, watching: Any, told: Any) -> None:
    api.lists = [api.page(10, api.config_map("a"))]
    api.watches = [api.failing(503, PAGE)]
    async with watching() as reflector:
        await until(lambda: len(api.watch_queries) >= 5)
        assert reflector.error.startswith("watch configmaps: HTTP 503")
        assert reflector.synced
        api.watches = [api.stream()]
        await until(lambda: not reflector.error)
    assert told.words == ["added a"]
    assert len(api.list_queries) == 1
