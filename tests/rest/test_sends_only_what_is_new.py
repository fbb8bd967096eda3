"""An answer that the client has already is not sent again, and no answer may be kept without asking."""

from __future__ import annotations

import pytest


@pytest.fixture
async def one(create, namespace):
    await create("weather")
    return f"/api/v1/namespaces/{namespace}/experiments/weather"


async def test_what_the_client_has_is_not_sent_again(api, one):
    first = await api.get(one)
    etag = first.headers["ETag"]
    assert etag.startswith('"')
    for known in (etag, f"W/{etag}", f'"another", {etag}', "*"):
        again = await api.get(one, headers={"If-None-Match": known})
        assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", etag)
    assert (await api.get(one, headers={"If-None-Match": '"another"'})).json() == first.json()


async def test_a_change_of_anything_shown_is_sent(api, one, change):
    etag = (await api.get(one)).headers["ETag"]
    await change("weather", "TemplateMissing")
    changed = await api.get(one, headers={"If-None-Match": etag})
    assert (changed.status_code, changed.json()["reason"]) == (200, "TemplateMissing")
    assert changed.headers["ETag"] != etag


async def test_lists_have_tags_too(api, one):
    path = one.rpartition("/")[0]
    first = await api.get(path)
    assert (await api.get(path, headers={"If-None-Match": first.headers["ETag"]})).status_code == 304
    assert (await api.get(path, params={"limit": 7})).headers["ETag"] == first.headers["ETag"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/v1/experiments", 200),
        ("/api/v1/experiments?limit=0", 422),
        ("/api/v1/namespaces/default/experiments/nobody", 404),
        ("/healthz", 200),
        ("/nowhere", 404),
        ("/openapi.json", 200),
    ],
)
async def test_nothing_may_be_kept_without_asking(api, path, status):
    answer = await api.get(path)
    assert (answer.status_code, answer.headers["Cache-Control"]) == (status, "private, no-cache")
