"""A bad file ends `render` with a line for each thing that is wrong, and nothing on standard output."""

from __future__ import annotations

from typing import Any

import pytest

GOOD = """\
apiVersion: testbench.agentic-layer.ai/v1alpha1
kind: Experiment
metadata:
  name: weather
spec:
  agentRef:
    name: agent
  scenarios:
    - name: Oslo
      steps:
        - input: Will it rain?
"""
TEMPLATE = "apiVersion: testworkflows.testkube.io/v1\nkind: TestWorkflowTemplate\n"


def assert_refused(found: Any, *lines: str) -> None:
    assert found.lines == list(lines)
    assert found.text == ""
    assert found.code == 2


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("  agentRef:\n    name: agent\n", "", "spec.agentRef: is required"),
        ("name: weather", "name: Weather", "metadata.name: must be a DNS name: "),
        ("  name: weather", "  generateName: weather", "metadata.name: is required"),
        ("name: agent", "namespace: shop", "spec.agentRef.name: is required"),
        ("name: agent", "name: agent\n    port: 1", "spec.agentRef.port: unknown field"),
        ("name: weather", "name: weather\n  label: {a: b}", "metadata.label: unknown field"),
        ("input: Will", "inputs: 1\n          input: Will", "spec.scenarios[0].steps[0].inputs: unknown field"),
        ("spec:", "spec:\n  defaultThreshold: 1.5", "spec.defaultThreshold: "),
        ("spec:", "spec:\n  defaultThreshold: 1e2", "spec.defaultThreshold: Input should be less than or equal to 1"),
        ("spec:", "spec:\n  agent_ref: {name: a}", "spec.agent_ref: unknown field"),
        ("spec:", "spec:\n  schedule: {cron: 0 0 30 2 *}", "spec.schedule.cron: '0 0 30 2 *' names no date"),
        (
            "spec:",
            "spec:\n  schedule: {cron: 0 0 1 2 *, timezone: A/B}",
            "spec.schedule.timezone: there is no time zone",
        ),
        ("v1alpha1", "v1beta1", "apiVersion: must be testbench.agentic-layer.ai/v1alpha1"),
        (
            "apiVersion: testbench.agentic-layer.ai/v1alpha1\n",
            "",
            "apiVersion: must be testbench.agentic-layer.ai/v1alpha1",
        ),
        ("kind: Experiment", "kind: Service", "kind: must be Experiment, not Service"),
        ("kind: Experiment\n", "", "kind: must be Experiment"),
        ("spec:", "extra: 1\nspec:", "extra: unknown field"),
    ],
)
def test_file_document_field_and_what_is_wrong(render: Any, old: str, new: str, line: str) -> None:
    bad = GOOD.replace(old, new)
    found = render("a.yaml", files={"a.yaml": f"{GOOD.replace('weather', 'good')}---\n{bad}"})
    (said,) = found.lines
    assert said.startswith(f"a.yaml, document 2, {line}")
    assert (found.text, found.code) == ("", 2)


@pytest.mark.parametrize("content", ["- a\n- b\n", "text\n", "7\n"])
def test_what_is_no_object_at_all(render: Any, content: str) -> None:
    assert_refused(render("-", stdin=content), "stdin, document 1, kind: must be Experiment")


def test_an_object_without_spec_or_metadata(render: Any) -> None:
    head = "apiVersion: testbench.agentic-layer.ai/v1alpha1\nkind: Experiment\n"
    assert_refused(
        render("-", stdin=f"{head}metadata: 1\n---\n{head}spec:\n"),
        "stdin, document 1, metadata: must be an object",
        "stdin, document 1, spec: is required",
        "stdin, document 2, metadata: is required",
        "stdin, document 2, spec: must be an object",
    )


def test_everything_of_all_files_at_once(render: Any) -> None:
    files = {
        "a.yaml": f"{GOOD}---\nkind: Service\n---\nspec: [\n---\n{GOOD.replace('name: agent', 'name: A')}",
        "b.yaml": GOOD.replace("weather", "b").replace(
            "spec:", "spec:\n  a: 1\n  b: 2\n  schedule: {cron: 0 0 30 2 *}"
        ),
        "c.yaml": GOOD.replace("weather", "c").replace("spec:", "spec:\n  schedule: {cron: 0 0 30 2 *}"),
        "d.yaml": b"name: \xff",
    }
    found = render("a.yaml", "b.yaml", "missing.yaml", "c.yaml", "d.yaml", files=files)
    assert [line.split(": ")[0] for line in found.lines] == [
        "a.yaml, document 2, kind",
        "a.yaml, document 3, line 16",
        "a.yaml, document 4, spec.agentRef.name",
        "b.yaml, document 1, spec.a",
        "b.yaml, document 1, spec.b",
        "missing.yaml",
        "d.yaml",
        "c.yaml, document 1, spec.schedule.cron",
    ]
    assert found.text == ""
    assert found.code == 2


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (GOOD.replace("  name: weather", "\tname: weather"), "document 1, line 4: found character that cannot start"),
        (GOOD + "    bad: indentation\n", "document 1, line 12: "),
        (GOOD.replace("weather", "*nobody"), "document 1, line 4: found undefined alias 'nobody'"),
        (GOOD.replace("weather", "!!bool a"), "document 1, line 4: cannot decode !!str `a` as a !!bool"),
        (GOOD + "  defaultThreshold: .inf\n", "document 1, line 12: JSON has no number .inf"),
        (GOOD + "  defaultThreshold: !!float a\n", "document 1, line 12: cannot decode !!str `a` as a !!float"),
        (GOOD.replace("weather", "a\x00"), "document 1, YAML: unacceptable character #x0000"),
    ],
)
def test_bad_yaml_is_named_with_its_place(render: Any, content: str, line: str) -> None:
    found = render("a.yaml", files={"a.yaml": content})
    (said,) = found.lines
    assert said.startswith(f"a.yaml, {line}")
    assert (found.text, found.code) == ("", 2)


def test_files_that_cannot_be_read(render: Any) -> None:
    found = render("missing.yaml", ".", "b.yaml", files={"b.yaml": b"a: \xff"})
    assert_refused(
        found,
        "missing.yaml: No such file or directory",
        ".: Is a directory",
        "b.yaml: is not UTF-8: invalid start byte at byte 3",
    )


def test_two_experiments_of_one_name(render: Any) -> None:
    files = {"a.yaml": GOOD, "b.yaml": f"---\n{GOOD.replace('weather', 'other')}---\n{GOOD}"}
    where = "b.yaml, document 2, metadata.name: Experiment default/weather was already in a.yaml, document 1"
    assert_refused(render("a.yaml", "b.yaml", files=files), where)
    files["b.yaml"] = GOOD.replace("name: weather", "name: weather\n  namespace: shop")
    assert render("a.yaml", "b.yaml", files=files).code == 0


@pytest.mark.parametrize("content", ["", "---\n", "# nothing\n---\n---\n"])
def test_nothing_to_render(render: Any, content: str) -> None:
    assert_refused(render("a.yaml", "-", files={"a.yaml": content}), "a.yaml, -: no Experiment in there")


def test_templates_that_are_missing_or_do_not_fit(render: Any) -> None:
    templates = "---\n".join(
        f"{TEMPLATE}metadata:\n  name: {name}-template\n" for name in ("run", "evaluate", "publish")
    )
    files = {"a.yaml": GOOD, "t.yaml": templates}
    assert_refused(
        render("a.yaml", "--templates", "t.yaml", files=files),
        "a.yaml, document 1, templates: TestWorkflowTemplate visualize-template does not exist in namespace testkube.",
    )
    files["t.yaml"] += f"---\n{TEMPLATE}metadata:\n  name: visualize-template\n"
    assert_refused(
        render("a.yaml", "--templates", "t.yaml", files=files),
        "a.yaml, document 1, templates: TestWorkflowTemplate testkube/run-template does not declare the parameter "
        "agentUrl, without which it cannot work.",
    )


def test_bad_templates_are_all_that_is_said_of_templates(render: Any) -> None:
    bad = (
        f"{TEMPLATE}metadata: {{name: a}}\nspec: 1\n---\n{TEMPLATE}metadata: {{name: b}}\nspec: {{config: {{c: d}}}}\n"
    )
    files = {"a.yaml": GOOD, "t.yaml": f"{bad}---\n{GOOD}"}
    assert_refused(
        render("a.yaml", "--templates", "t.yaml", "missing.yaml", files=files),
        "t.yaml, document 1, spec: must be an object",
        "t.yaml, document 2, spec.config.c: must be an object",
        "t.yaml, document 3, kind: must be TestWorkflowTemplate, not Experiment",
        "missing.yaml: No such file or directory",
    )


def test_more_than_a_config_map_holds(render: Any) -> None:
    steps = f"        - &step {{input: {'x' * 60000}}}\n" + "        - *step\n" * 19
    (line,) = render("-", stdin=GOOD + steps).lines
    assert line.startswith("stdin, document 1, spec: experiment.json has 1,2")


@pytest.mark.parametrize("flag", ["--agent-url", "--otlp-endpoint"])
@pytest.mark.parametrize("url", ["agent:8000", "http://", "ftp://agent", "http://agent/{{ a }}", "http://agent/{{"])
def test_a_bad_url_is_refused_with_a_sentence(render: Any, flag: str, url: str) -> None:
    found = render("-", flag, url, stdin=GOOD)
    assert found.code == 2
    assert found.text == ""
    assert flag in found.lines[0]
    assert "must be an http:// or https:// URL" in found.lines[0]


def test_render_without_files_is_asked_wrongly(render: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        render()
    assert ended.value.code == 2
    assert "the following arguments are required: FILES" in capsys.readouterr().err
