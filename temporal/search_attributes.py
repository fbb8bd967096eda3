"""Custom search attributes of runs: by them Temporal's UI, lists and counts can filter, where its namespace has them.

They are off unless a setting says otherwise, since a run cannot be started with one that the namespace does not have.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from temporalio.common import (
    SearchAttributeIndexedValueType,
    SearchAttributeKey,
    SearchAttributePair,
    SearchAttributeUpdate,
    TypedSearchAttributes,
)

from experiments.contract import Target, in_brief

EXPERIMENT_NAMESPACE = SearchAttributeKey.for_keyword("ExperimentNamespace")
RECONCILIATION_OUTCOME = SearchAttributeKey.for_keyword("ReconciliationOutcome")
"""That of the run's result or failure. An open run has none."""
RECONCILIATION_REASONS = SearchAttributeKey.for_keyword_list("ReconciliationReasons")
"""In words: the first few, each cut to some length."""

# Temporal takes 2048, with some words around them. What is not ASCII becomes longer in them than in a memo.
_MAX_VALUE_BYTES = 1900

KEYS: tuple[SearchAttributeKey[Any], ...] = (EXPERIMENT_NAMESPACE, RECONCILIATION_OUTCOME, RECONCILIATION_REASONS)


def at_start(target: Target, reasons: Sequence[str]) -> TypedSearchAttributes:
    """Make the attributes with which a run begins."""
    return TypedSearchAttributes(
        [
            SearchAttributePair(EXPERIMENT_NAMESPACE, target.namespace),
            SearchAttributePair(RECONCILIATION_REASONS, _fitting(reasons)),
        ]
    )


def of_namespace(target: Target) -> TypedSearchAttributes:
    """Make the attributes of what is no reconciliation: by the Experiment's namespace it is found among those."""
    return TypedSearchAttributes([SearchAttributePair(EXPERIMENT_NAMESPACE, target.namespace)])


def at_end(outcome: str, reasons: Sequence[str]) -> list[SearchAttributeUpdate[Any]]:
    """Make the updates with which a run ends, provided that it began with the others."""
    return [RECONCILIATION_OUTCOME.value_set(outcome), RECONCILIATION_REASONS.value_set(_fitting(reasons))]


def _fitting(reasons: Sequence[str]) -> list[str]:
    kept = in_brief(reasons)
    while len(json.dumps(kept)) > _MAX_VALUE_BYTES:
        kept.pop()
    return kept


def type_of(key: SearchAttributeKey[Any]) -> str:
    """Name its type as the command line of Temporal does."""
    is_list = key.indexed_value_type == SearchAttributeIndexedValueType.KEYWORD_LIST
    return "KeywordList" if is_list else "Keyword"
