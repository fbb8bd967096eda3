"""What the real API server says to Experiments that are offered to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import pytest

from localcluster import LocalCluster
from support.offers import Offered, administrator, offer


@pytest.fixture(scope="session", name="offer")
def _offer(cluster: LocalCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Offered]]:
    """`offer(experiment, strict=False)`: what the API server says to it."""
    with administrator(cluster, tmp_path_factory.mktemp("credentials")) as client:
        yield partial(offer, client)
