"""Hundreds of Experiments, written in ways that nobody thought of: `plan` takes files as the real kubectl would."""

from __future__ import annotations

from support.as_kubectl import experiment_texts, files_planned, files_sent, kubectl_reads, many, name_of, stream


async def test_experiments_that_are_planned(type_, namespace, tmp_path):
    found = many(experiment_texts())
    assert f"namespace: {namespace}" in "".join(text.content for text in found)
    theirs = kubectl_reads(found, tmp_path)
    sound = [number for number, objects in enumerate(theirs) if files_sent(objects)]
    assert 50 < len(sound) < 350
    files = (argument for number in sound for argument in ("-f", str(tmp_path / f"{name_of(number)}.yaml")))
    answer = await type_("plan", *files, "-o", "json")
    assert answer.err == ""
    said = [each for plan in stream(answer.out) for each in files_planned(plan)]
    assert said == [each for number in sound for each in files_sent(theirs[number])]


async def test_whatever_kubectl_refuses_is_refused(type_, tmp_path):
    found = many(experiment_texts())
    refused = [number for number, objects in enumerate(kubectl_reads(found, tmp_path)) if objects is None]
    names = [str(tmp_path / f"{name_of(number)}.yaml") for number in refused]
    answer = await type_("plan", *(argument for name in names for argument in ("-f", name)))
    assert (answer.code, answer.out) == (2, "")
    assert [name for name in names if not any(line.startswith(name) for line in answer.err.splitlines())] == []
