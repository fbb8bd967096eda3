"""Which tests run on which cluster, in which process and when."""

from __future__ import annotations

from xdist.scheduler import LoadScopeScheduling

# Nothing but folders has these names: who is in one of them does no harm to the others in it.
_TOGETHER = {
    # They need nothing of a cluster but that it is real.
    "access": "shared",
    "certificates": "shared",
    "crd": "shared",
    "localcluster/test_is_a_real_api_server.py": "shared",
    "reflector": "shared",
    "rest": "shared",
    "simulation": "shared",
    # They stop parts of it, start the service only for a test, and leave no Experiment behind.
    "crash": "stopped",
    "lease": "stopped",
    "migrate": "stopped",
    "rest/test_says_how_old_it_is.py": "stopped",
    # Both apply deploy/base.
    "deploy": "e2e",
}
# They need no cluster: each file goes where there is time.
_FREE = ("compose", "testkube_api", "unit", "workflow")
# What takes long begins early, so that both processes end at the same time.
_FIRST = ("stopped", "shared", "docs", "e2e", "openapi", "demo", "localcluster", "observability", "webhook")


def cluster_of(nodeid: str) -> str:
    """Return the name of the cluster on which this test runs: that of its folder, unless some share one."""
    folder, _, file = _path(nodeid).partition("/")
    return _TOGETHER.get(f"{folder}/{file}") or _TOGETHER.get(folder, folder)


def unit_of(nodeid: str) -> str:
    """Return what has to run in one process, as it stands together on a cluster or in a file."""
    path = _path(nodeid)
    return path if path.startswith(_FREE) else cluster_of(nodeid)


def turn_of(nodeid: str) -> int:
    """Return when the unit of this test has its turn, counted from the first."""
    unit = unit_of(nodeid)
    return _FIRST.index(unit) if unit in _FIRST else len(_FIRST) + unit.startswith(_FREE)


def _path(nodeid: str) -> str:
    return nodeid.partition("::")[0].removeprefix("tests/")


class UnitScheduling(LoadScopeScheduling):  # type: ignore[misc] # xdist has no types
    """Gives a process one unit after the other, in the order of their turns."""

    def _split_scope(self, nodeid: str) -> str:
        return unit_of(nodeid)
