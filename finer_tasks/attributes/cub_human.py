"""CUB's own human attributes: 312 attributes with the percentage of a class's images that have each."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

from finer_tasks.attributes.authors import tidy
from finer_tasks.attributes.knowledge import ConceptAttributes, Provenance
from finer_tasks.datasets.lines import read_lines, read_table
from finer_tasks.datasets.taxonomy import load_taxonomy
from finer_tasks.errors import KnowledgeError, at_line

ATTRIBUTES = 312
# Share of a class's images, in percent, from which an attribute is required or likely.
REQUIRED_FROM = 60.0
LIKELY_FROM = 30.0
# Groups that are relative or not visible as such.
_RELATIVE = {"has_size", "has_bill_length"}


def read_cub_human(
    root: Path, required_from: float = REQUIRED_FROM, likely_from: float = LIKELY_FROM
) -> list[ConceptAttributes]:
    """Entries of all 200 classes; raises KnowledgeError with file and line where the files do not fit.

    attributes.txt lies beside CUB_200_2011/ in the archive or in attributes/; both are tried.
    """
    if not 0 < likely_from <= required_from <= 100:  # false for NaN
        raise KnowledgeError(
            f"attributes cannot be required from {required_from:g} % and likely from {likely_from:g} %: "
            "both are above 0 and at most 100, and likely ones begin no later than required ones"
        )
    names = list(read_table(_attribute_names(root), "attribute").values())
    if len(names) != ATTRIBUTES:
        raise KnowledgeError(f"{_attribute_names(root)}: {len(names)} attributes instead of {ATTRIBUTES}")
    classes = [re.sub(r"^\d+\.", "", name) for name in read_table(root / "classes.txt", "class name").values()]
    path = root / "attributes" / "class_attribute_labels_continuous.txt"
    entries = []
    for (number, line), class_name in zip(_rows(path, len(classes)), classes, strict=True):
        shares = _shares(path, number, line)
        concept = load_taxonomy("cub").concept(class_name)
        required, likely = _choose(names, shares, required_from, likely_from)
        source = f"CUB-200-2011 human attributes, required from {required_from:g} %, likely from {likely_from:g} %"
        entries.append(tidy(concept.concept_id, concept.fine[0], required, likely, Provenance(source)))
    return entries


def phrase_of(attribute: str) -> str:
    """In words: "has_bill_shape::hooked_seabird" -> "hooked seabird bill"; "has_wing_color::blue" -> "blue wing"."""
    group, _, value = attribute.partition("::")
    value = re.sub(r"\([^()]*\)", "", value).replace("_", " ").strip()
    part = group.removeprefix("has_").replace("_", " ")
    if part == "shape":
        return value if value.endswith("like") else f"{value} shape"
    if part == "primary color":
        return f"mainly {value} plumage"
    if part.split()[0] in value:  # "rounded-wings", "forked tail"
        return value.replace("-", " ")
    for suffix in (" shape", " color"):
        if part.endswith(suffix):
            return f"{value} {part.removesuffix(suffix)}"
    return f"{value} {part}"


def _choose(names: list[str], shares: list[float], required_from: float, likely_from: float) -> tuple[list[str], list[str]]:
    """Phrases by share, the commonest first; of the values of a group at most one is required."""
    groups: dict[str, list[tuple[float, str]]] = defaultdict(list)
    for name, share in zip(names, shares, strict=True):
        if name.partition("::")[0] not in _RELATIVE and share >= likely_from:
            groups[name.partition("::")[0]].append((share, name))
    required: list[tuple[float, str]] = []
    likely: list[tuple[float, str]] = []
    for values in groups.values():
        best, *others = sorted(values, key=lambda item: (-item[0], item[1]))
        (required if best[0] >= required_from else likely).append(best)
        likely += others
    return _worded(required), _worded(likely)


def _worded(chosen: list[tuple[float, str]]) -> list[str]:
    return [phrase_of(name) for _, name in sorted(chosen, key=lambda item: (-item[0], item[1]))]


def _attribute_names(root: Path) -> Path:
    candidates = (root / "attributes.txt", root.parent / "attributes.txt", root / "attributes" / "attributes.txt")
    for path in candidates:
        if path.exists():
            return path
    raise KnowledgeError(f"none of {', '.join(map(str, candidates))} exists. Give the folder CUB_200_2011")


def _rows(path: Path, count: int) -> list[tuple[int, str]]:
    rows = list(read_lines(path))
    if len(rows) != count:
        raise KnowledgeError(f"{path}: {len(rows)} rows for {count} classes")
    return rows


def _shares(path: Path, number: int, line: str) -> list[float]:
    try:
        shares = [float(cell) for cell in line.split()]
    except ValueError as error:
        raise KnowledgeError(at_line(path, number, f"not a row of numbers ({error})")) from error
    if len(shares) != ATTRIBUTES or not all(0 <= share <= 100 for share in shares):
        raise KnowledgeError(at_line(path, number, f"expected {ATTRIBUTES} percentages, found {len(shares)} values"))
    return shares
