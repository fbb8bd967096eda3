"""A demo that cannot go on says why, ends with exit code 1, and leaves no process."""

from __future__ import annotations

from experiment_operator.local import demo as module
from experiment_operator.local.demo import holds
from localcluster.foreground import run


async def test_a_service_that_cannot_start_is_quoted(start):
    async with start("demo", TESTKUBE_NAMESPACE="BAD") as demo:
        assert await demo.ends() == 1
        assert "error: service ended before it was ready." in demo.log
        assert "(TESTKUBE_NAMESPACE): must be the name of a namespace" in demo.log
        assert "✓" not in demo.log
        assert not await demo.processes()


def test_what_does_not_hold_is_told_with_what_was_expected_and_found(monkeypatch, capsys):
    monkeypatch.setattr(module, "_TIMEOUT_SECONDS", 0)

    async def children() -> list[str]:
        return ["ConfigMap"]

    assert run(holds("nothing is left", children, [])) == 1
    printed = capsys.readouterr()
    assert "nothing is left\n  expected: []\n  found:    ['ConfigMap']" in printed.err
    assert "✓" not in printed.out
