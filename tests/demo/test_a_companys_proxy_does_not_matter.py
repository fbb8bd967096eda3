"""All that the demo starts is on this machine, where nobody needs a proxy, and a dead one is in nobody's way."""

from __future__ import annotations

DEAD = "http://127.0.0.1:9"


async def test_every_step_holds_behind_a_dead_proxy(start):
    names = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY", "all_proxy")
    exceptions = dict.fromkeys(("NO_PROXY", "no_proxy"), "example.com")
    async with start("demo", **dict.fromkeys(names, DEAD), **exceptions) as demo:
        assert await demo.ends() == 0, demo.log
        assert "All of it held" in demo.log
        assert not await demo.processes()
