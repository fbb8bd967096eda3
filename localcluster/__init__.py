"""A real Kubernetes control plane and a real Temporal server on this machine, for tests, `make dev` and `make demo`."""

from localcluster.cluster import LocalCluster
from localcluster.errors import (
    AddressInUseError,
    BinariesError,
    DownloadError,
    InstallError,
    KubectlError,
    LocalClusterError,
    ProcessError,
)

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
