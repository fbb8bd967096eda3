"""kubernetes-asyncio's loading of configurations, without the typed models that come with it.

The package's `__init__` imports all of its 700 models, used or not: 38 MB of each process, and most of the time in
which a command starts. Here its two packages are entered without running their `__init__`, and the modules that are
needed are imported as they are. What renews tokens of OpenID Connect waits until a kubeconfig needs it: it brings
aiohttp, by which no command asks anything.
"""

from __future__ import annotations

import importlib
import sys
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import Any

_OPENID = "kubernetes_asyncio.config.openid"


def _enter(package: str, **attributes: Any) -> ModuleType:
    """Have `package`, with these attributes instead of what its `__init__` would put there."""
    if package in sys.modules:
        return sys.modules[package]
    spec = find_spec(package)
    if spec is None:
        raise ModuleNotFoundError(package)
    module = sys.modules[package] = module_from_spec(spec)
    vars(module).update(attributes)
    return module


def _import_configuration() -> None:
    _enter("kubernetes_asyncio")
    client = _enter("kubernetes_asyncio.client", ApiClient=None)
    if not hasattr(client, "Configuration"):
        configuration = importlib.import_module("kubernetes_asyncio.client.configuration")
        client.Configuration = configuration.Configuration  # type: ignore[attr-defined]
    if _OPENID not in sys.modules:
        sys.modules[_OPENID] = later = ModuleType(_OPENID)
        vars(later)["OpenIDRequestor"] = _openid_requestor
        importlib.import_module("kubernetes_asyncio.config")
        del sys.modules[_OPENID]


def _openid_requestor(*arguments: Any) -> Any:
    return importlib.import_module(_OPENID).OpenIDRequestor(*arguments)


_import_configuration()

from kubernetes_asyncio.client import Configuration  # noqa: E402 - entered above
from kubernetes_asyncio.config import ConfigException, load_incluster_config, load_kube_config  # noqa: E402

__all__ = ["ConfigException", "Configuration", "load_incluster_config", "load_kube_config"]
