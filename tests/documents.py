"""Documents of a concept without a picture."""

from __future__ import annotations

from typing import Any

from finer_tasks.datasets.concepts import concepts_of


def document_of(dataset: str, concept_id: str, number: int = 0) -> dict[str, Any]:
    """A document of the test split that shows a concept."""
    one = concepts_of(dataset).by_id[concept_id]
    return {
        "id": f"{dataset}/test/{concept_id}-{number}", "superordinate": one.superordinate, "coarse": list(one.coarse),
        "fine": list(one.fine), "concept_id": concept_id, "class_id": concept_id,
    }  # fmt: skip
