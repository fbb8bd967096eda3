"""A dataset is fetched by the setup phase, from an S3 store or by HTTP; without it nothing else is run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.standins import Files

QUESTION = "How cold does it get tonight in Hintertupfing?"
STEP = {
    "input": QUESTION,
    "reference": {"response": "I have no forecast for Hintertupfing."},
    "metrics": [{"metric_name": "FactualCorrectness"}],
}
DATASET = json.dumps(
    {
        "llm_as_a_judge_model": "gemini-2.5-flash-lite",
        "default_threshold": 0.5,
        "scenarios": [{"name": "A town that is not known", "steps": [STEP]}],
    }
).encode()
GATEWAY = {"name": "ai-gateway"}
CREDENTIALS = {"dataset-store": {"user": "reader", "password": "example"}}
KEY = "weather/regression.json"


@pytest.mark.parametrize("of_upstream", [False, True], ids=["our templates", "upstream's templates"])
def test_a_dataset_is_fetched_from_s3_with_the_credentials_of_a_secret(
    testkube: Any, sample: Any, store: httpx.Client, upstream: Path, of_upstream: bool
) -> None:
    store.put(f"/datasets/{KEY}", content=DATASET).raise_for_status()
    templates = upstream if of_upstream else None
    run = testkube.run(sample("dataset-s3", aiGatewayRef=GATEWAY), templates=templates, values=CREDENTIALS)
    assert run.passed, run.output
    assert run.evaluations == [("FactualCorrectness", "pass", 1.0)]
    (request,) = testkube.network.asked("minio")
    assert "Credential=reader/" in request.headers["authorization"]


@pytest.mark.parametrize("of_upstream", [False, True], ids=["our templates", "upstream's templates"])
@pytest.mark.parametrize("key", ["weather/other.json", "weather/regression.csv"])
def test_what_is_not_there_or_not_json_fails_setup(
    testkube: Any, sample: Any, store: httpx.Client, upstream: Path, key: str, of_upstream: bool
) -> None:
    store.put("/datasets/weather/regression.csv", content=b"question,answer\n").raise_for_status()
    experiment = sample("dataset-s3", dataset={"s3": {"bucket": "datasets", "key": key}})
    run = testkube.run(experiment, templates=upstream if of_upstream else None, values=CREDENTIALS)
    assert run.codes == {"setup": 1}, run.output


def test_a_dataset_is_fetched_from_a_url(testkube: Any, sample: Any) -> None:
    path = "/download?id=7&token=%24x'y"
    testkube.network.services["files"] = Files({"/download": DATASET})
    dataset = {"url": f"http://files.storage.svc.cluster.local{path}"}
    run = testkube.run(sample("dataset-s3", dataset=dataset, aiGatewayRef=GATEWAY), values=CREDENTIALS)
    assert run.passed, run.output
    assert run.evaluations == [("FactualCorrectness", "pass", 1.0)]
    assert [request.path for request in testkube.network.asked("files")] == [path]


def test_a_url_that_does_not_answer_fails_setup(testkube: Any, sample: Any) -> None:
    testkube.network.services["files"] = Files({})
    run = testkube.run(sample("dataset-s3", dataset={"url": "http://files.storage.svc.cluster.local/a.json"}))
    assert run.codes == {"setup": 1}, run.output
