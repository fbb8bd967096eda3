"""Hundreds of Experiments, written in ways that nobody thought of, are planned as the real kubectl would send them."""

from __future__ import annotations

import pytest

from support.as_kubectl import experiment_texts, files_planned, files_sent, kubectl_reads, many, name_of

pytestmark = pytest.mark.usefixtures("templates")


async def test_experiments_that_are_planned(api, tmp_path):
    found = many(experiment_texts())
    theirs = kubectl_reads(found, tmp_path)
    assert 50 < theirs.count(None) < 350
    for number, (text, objects) in enumerate(zip(found, theirs, strict=True)):
        answer = await api.post("/api/v1/plan", content=text.of(name_of(number)))
        plan = answer.json() if answer.status_code == 200 else {"changes": []}
        assert files_planned(plan) == files_sent(objects), text
        assert (answer.status_code == 200) == bool(objects), text
