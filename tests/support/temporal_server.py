"""A real Temporal of a test's own, for what the one that skips time does not know."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from temporalio.common import SearchAttributeKey
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment

from localcluster.tools import tool

AT_ONCE = ("--dynamic-config-value", 'history.workflowIdReuseMinimalInterval="0s"')
"""A run that continues as new goes on at once, and not a second after it began."""
CONTINUES_EARLY = (*AT_ONCE, "--dynamic-config-value", "limit.historyCount.suggestContinueAsNew=8")
"""It suggests to continue as new for every history of more than a few events."""


async def start_dev_server(
    *args: str, search_attributes: Sequence[SearchAttributeKey[Any]] = (), **more: Any
) -> WorkflowEnvironment:
    return await WorkflowEnvironment.start_local(
        data_converter=pydantic_data_converter,
        search_attributes=search_attributes,
        dev_server_existing_path=str(tool("temporal")),
        dev_server_extra_args=args,
        **more,
    )
