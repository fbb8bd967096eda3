"""Wait for what happens elsewhere: tests ask until the answer is right, and never sleep for luck."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Any, TypeVar, overload

import pytest

T = TypeVar("T")

# So long that nothing but a defect is slower, however busy the machine is.
PATIENCE = 120.0
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.01, 0.5


@overload
async def until(
    ask: Callable[[], Awaitable[T]], told: Callable[[T], object] = bool, *, patience: float = PATIENCE
) -> T: ...


@overload
async def until(ask: Callable[[], T], told: Callable[[T], object] = bool, *, patience: float = PATIENCE) -> T: ...


async def until(ask: Callable[[], Any], told: Callable[[Any], object] = bool, *, patience: float = PATIENCE) -> Any:
    """Ask until the answer is as `told` wants it, and return that answer; fail with the last one.

    The longer it takes, the less often it asks: who waits must not be what keeps the machine busy.
    """
    answer: Any = None
    began = monotonic()
    try:
        async with asyncio.timeout(patience) as limit:
            while True:
                asked = ask()
                answer = await asked if isinstance(asked, Awaitable) else asked
                if told(answer):
                    return answer
                await asyncio.sleep(min(max((monotonic() - began) / 10, _SHORTEST_PAUSE), _LONGEST_PAUSE))
    except TimeoutError:
        if not limit.expired():
            raise
        pytest.fail(f"after {patience:g} s still {str(answer)[:1000]}")
