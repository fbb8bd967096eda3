"""What tests, `make dev` and `make demo` have on one machine: a real control plane and a real Temporal server.

Testkube, and what rolls Deployments out, are simulated.
"""

from typing import TYPE_CHECKING

from localcluster.errors import (
    AddressInUseError,
    BinariesError,
    DownloadError,
    InstallError,
    KubectlError,
    LocalClusterError,
    ProcessError,
)

if TYPE_CHECKING:
    from localcluster.cluster import LocalCluster

__all__ = [
    "AddressInUseError",
    "BinariesError",
    "DownloadError",
    "InstallError",
    "KubectlError",
    "LocalCluster",
    "LocalClusterError",
    "ProcessError",
]


def __getattr__(name: str) -> object:
    """Import `LocalCluster` late, for it needs the extra `local`; `localcluster.certificates` must not."""
    if name != "LocalCluster":
        raise AttributeError(name)
    from localcluster.cluster import LocalCluster  # noqa: PLC0415

    return LocalCluster
