"""Custom search attributes of runs: by them Temporal's UI, lists and counts can filter, where its namespace has them.

They are off unless a setting says otherwise, since a run cannot be started with one that the namespace does not have.
"""

from __future__ import annotations

from typing import Any

from temporalio.common import SearchAttributeIndexedValueType, SearchAttributeKey

EXPERIMENT_NAMESPACE = SearchAttributeKey.for_keyword("ExperimentNamespace")
RECONCILIATION_OUTCOME = SearchAttributeKey.for_keyword("ReconciliationOutcome")
"""That of the run's result or failure. An open run has none."""
RECONCILIATION_REASONS = SearchAttributeKey.for_keyword_list("ReconciliationReasons")
"""As in the run's memo: in words, the first few, each cut to some length."""

KEYS: tuple[SearchAttributeKey[Any], ...] = (EXPERIMENT_NAMESPACE, RECONCILIATION_OUTCOME, RECONCILIATION_REASONS)


def type_of(key: SearchAttributeKey[Any]) -> str:
    """Name its type as the command line of Temporal does."""
    is_list = key.indexed_value_type == SearchAttributeIndexedValueType.KEYWORD_LIST
    return "KeywordList" if is_list else "Keyword"
