"""What is probably not meant is stored all the same, and kubectl prints a warning about it."""

from __future__ import annotations

from typing import Any

import pytest

from experiments.options import Options
from experiments.resources import AGENT
from kube.objects import ObjectRef
from support.world import World
from webhook.app import create_webhook_app

SCALING = (
    "spec.trigger.event: modified also fires when the Deployment is scaled, and then waits in vain for a rollout; "
    "deployment-image-update fires on a new image only."
)
NO_MODEL = "spec.llmAsAJudgeModel: no model is named, without which the evaluate phase lets every metric fail: recall."
NO_EVENT = (
    "spec.trigger.event: Testkube has no such event of a Deployment: on_push is taken for modified, as upstream takes "
    "every event."
)


def judged_by(*metrics: str) -> list[dict[str, Any]]:
    found = [{"metricName": name} for name in metrics]
    return [{"name": "rain", "steps": [{"input": "Rain?", "metrics": found}]}]


@pytest.mark.parametrize(
    ("spec", "warning"),
    [
        (
            {"scenarios": judged_by("recall")},
            "spec.defaultThreshold: some metrics have no threshold (recall), and none is set for all: 0.9 is used.",
        ),
        ({"llmAsAJudgeModel": None}, NO_MODEL),
        (
            {"dataset": {"s3": {"bucket": "b", "key": "a.csv"}}, "scenarios": None},
            "spec.dataset.s3.key: the setup phase fetches no key that does not end in .json.",
        ),
        ({"trigger": {"enabled": True}}, SCALING),
        ({"trigger": {"enabled": True, "event": "on_push"}}, NO_EVENT),
        ({"schedule": {"cron": "*/4 * * * *"}}, "spec.schedule.cron: evaluates the agent again after 4 min."),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
async def test_one_sentence_each(apply: Any, sound: Any, spec: dict[str, Any], warning: str) -> None:
    said = await apply(sound(**spec))
    assert (said.code, said.refusal, said.warnings) == (0, "", [warning])


@pytest.mark.parametrize("how", [[], ["--server-side"], ["--server-side", "--field-manager=argocd"]], ids=" ".join)
async def test_a_threshold_that_nobody_has_chosen(apply: Any, sound: Any, how: list[str]) -> None:
    """The API server fills in 0.9 before the webhook is asked: who wrote it is told by who owns it."""

    async def warned_of(**spec: Any) -> bool:
        said = await apply(sound(**spec), *how)
        assert said.code == 0
        return any(line.startswith("spec.defaultThreshold: some metrics have no") for line in said.warnings)

    assert await warned_of(scenarios=judged_by("recall"))
    assert await warned_of(scenarios=judged_by("precision"))
    assert not await warned_of(scenarios=judged_by("recall"), defaultThreshold=0.9)
    assert await warned_of(scenarios=judged_by("accuracy"))


async def test_an_agent_that_is_not_ready(apply: Any, sound: Any, world: World, heard: Any) -> None:
    await world.agent("asleep", protocols=[{"type": "A2A", "port": 9000}])
    await heard(ObjectRef(AGENT, world.namespace, "asleep"))
    said = await apply(sound(agentRef={"name": "asleep"}))
    assert said.code == 0
    (warning,) = said.warnings
    assert warning.startswith(f"spec.agentRef: Agent {world.namespace}/asleep is not ready; its spec says http://")


async def test_missing_neighbours_where_that_is_only_warned_of(
    apply: Any, sound: Any, world: World, webhook: Any, caches: Any, kube: Any
) -> None:
    reference = {"name": "nobody", "namespace": world.namespace}
    with webhook.answered_by(create_webhook_app(caches, kube, Options(), neighbour_check="warn")):
        said = await apply(sound(agentRef=reference, aiGatewayRef=reference))
    assert (said.code, {*said.warnings}) == (
        0,
        {
            f"spec.agentRef: Agent {world.namespace}/nobody does not exist.",
            f"spec.aiGatewayRef: AiGateway {world.namespace}/nobody does not exist.",
        },
    )


async def test_a_refusal_warns_as_well(apply: Any, sound: Any) -> None:
    said = await apply(sound(agentRef={"name": "nobody"}, trigger={"enabled": True}))
    assert said.code == 1
    assert [warning.partition(":")[0] for warning in said.warnings] == ["spec.trigger.event"]


async def test_a_dry_run_warns_as_well(apply: Any, sound: Any, world: World) -> None:
    said = await apply(sound(trigger={"enabled": True}), "--dry-run=server")
    assert (said.code, len(said.warnings)) == (0, 1)
    assert await world.get(world.ref()) is None


async def test_a_warning_is_one_short_line_whatever_is_quoted_in_it(apply: Any, sound: Any) -> None:
    """The API server drops a warning with control characters, and all beyond 4096 characters."""
    long = ["x" * 250 + str(number) for number in range(9)]
    said = await apply(sound(scenarios=judged_by("two\nlines \x1b[31mand red", *long)))
    (warning,) = said.warnings
    assert "(two lines [31mand red, x" in warning
    assert len(warning) == 256
    assert warning.endswith("…")
