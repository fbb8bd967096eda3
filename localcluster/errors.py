"""What can go wrong with a local cluster.

    LocalClusterError
    ├── BinariesError        the control plane's binaries are nowhere and cannot be made here
    │   └── DownloadError    a release binary cannot be fetched, or is not what was published
    ├── ProcessError         a component ended, or did not become ready in time
    │   └── AddressInUseError
    ├── KubectlError         kubectl ended with an error
    └── InstallError         the API server refused a CustomResourceDefinition

Each message says what to do, or ends with what the failing part said itself.
"""

from __future__ import annotations


class LocalClusterError(Exception):
    """Any of the errors of this package."""


class BinariesError(LocalClusterError):
    """etcd, kube-apiserver or kube-controller-manager are nowhere and cannot be made here."""


class DownloadError(BinariesError):
    """A release binary cannot be fetched, or is not what was published."""


class ProcessError(LocalClusterError):
    """A component ended, or did not become ready in time; the message ends with the last lines of its log."""


class AddressInUseError(ProcessError):
    """A component found its port taken."""


class KubectlError(LocalClusterError):
    """kubectl ended with an error; the message ends with what it wrote to standard error."""


class InstallError(LocalClusterError):
    """The API server refused a CustomResourceDefinition; the message is its own."""
