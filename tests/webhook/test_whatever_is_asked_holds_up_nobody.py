"""However large a review is, others have their turn meanwhile, and what nobody should read is not read."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from support.amplified import READ, experiment, with_value
from webhook import app as webhook


@pytest.mark.parametrize(
    "value", [f"[{'0,' * 1_300_000}0]", "[" + '{"":0},' * 400_000 + "0]"], ids=["numbers", "objects"]
)
async def test_more_values_than_an_experiment_can_have_are_not_read(ask: Any, question: Any, value: str) -> None:
    review = json.dumps(question(0), separators=(",", ":")).replace('"object":0', f'"object":{with_value(value)}')
    answer = await ask(review.encode())
    assert answer.status_code == 413
    assert answer.text == "An AdmissionReview that holds more than 600,000 values is not read."


async def test_an_experiment_as_large_as_may_be_is_judged(ask: Any, question: Any) -> None:
    large = json.loads(READ["as many objects as may be"]())
    answer = await ask(question(large, large))
    assert answer.json()["response"]["allowed"] is True
    old = {**large, "spec": {**large["spec"], "defaultThreshold": 0.5}}
    said = (await ask(question(large, old))).json()["response"]
    assert said["allowed"] is True
    assert any("experiment.json has" in warning for warning in said["warnings"])


async def test_it_is_judged_beside_the_loop(ask: Any, question: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    loop, seen = threading.current_thread(), set()

    def watch(module: Any, name: str) -> None:
        usual = getattr(module, name)

        def watched(*args: Any, **kwargs: Any) -> Any:
            seen.add((name, threading.current_thread() is loop))
            return usual(*args, **kwargs)

        monkeypatch.setattr(module, name, watched)

    for name in ("from_json", "check_json", "review"):
        watch(webhook, name)
    watch(webhook.Subject, "of")
    changed = experiment(defaultThreshold=0.5)
    assert (await ask(question(changed, experiment()))).status_code == 200
    assert seen == {("from_json", False), ("check_json", False), ("review", False), ("of", False)}
