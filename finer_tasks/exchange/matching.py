"""Which document each row of a result file answers, proved before anything is made of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from finer_tasks.exchange.asking import Asked, ExchangeError
from finer_tasks.exchange.rows import Row
from finer_tasks.options.choosing import Options
from finer_tasks.options.settings import LETTERS

Document = Mapping[str, Any]
# Columns by which a row tells its document, the surest first.
KEYS = ("id", "image_path", "image", "index")
_SHOWN = 5


@dataclass(frozen=True)
class Matched:
    """Rows by the number of their document, and the column that told it."""

    rows: Mapping[int, Row]
    by: str
    documents: Sequence[Document]

    @property
    def missing(self) -> list[int]:
        """The documents without a row."""
        return [number for number in range(len(self.documents)) if number not in self.rows]


def match(rows: Sequence[Row], asked: Asked, key: str | None = None, partial: bool = False) -> Matched:
    """Match every row to a document by the surest column that all rows have, or by `key`.

    Raises ExchangeError for rows that fit no document, each named with file and line, for two rows of one document, for an
    `answer` that is no label of the document, and, unless `partial`, for documents without a row.
    """
    if not any("prediction" in row.values for row in rows):
        raise ExchangeError(f"{rows[0].path} has no column prediction, in which VLMEvalKit keeps the replies")
    documents = list(asked.documents())
    by = key or next((name for name in KEYS if all(row.values.get(name) for row in rows)), "")
    if not by or not any(row.values.get(by) for row in rows):
        raise ExchangeError(f"{rows[0].path} has no column {by or ' or '.join(KEYS)}, by which its rows could be matched")
    find = _finder(by, documents)
    found = [(row, find(row.values.get(by) or "")) for row in rows]
    _refuse(
        [row for row, number in found if number is None],
        lambda row: f"{by} {row.values.get(by)!r} is no document of {asked.task.name}",
        "Was the file made with other data? Leave out rows that do not belong to the task",
    )
    chosen: dict[int, Row] = {}
    for row, number in found:
        assert number is not None
        if number in chosen:
            raise row.told(f"a second answer to {documents[number]['id']}, the first is on line {chosen[number].line}")
        chosen[number] = row
    _check_answers(chosen, documents, asked, by)
    _check_options(chosen, documents, asked)
    matched = Matched(chosen, by, documents)
    if matched.missing and not partial:
        raise ExchangeError(
            f"{rows[0].path} lacks {len(matched.missing)} of {len(documents)} documents of {asked.task.name}, for example "
            f"{documents[matched.missing[0]]['id']}. Run the kit to its end, or take what is there with --allow partial"
        )
    return matched


def _finder(by: str, documents: Sequence[Document]) -> Callable[[str], int | None]:
    if by == "index":
        places = {str(number): number for number in range(len(documents))}
        return lambda text: places.get(text.strip())
    if by == "id":
        numbers = {str(document["id"]): number for number, document in enumerate(documents)}
        return lambda text: numbers.get(text.strip())
    return by_image(documents)


def by_image(documents: Sequence[Document]) -> Callable[[str], int | None]:
    """Finds a document by the path of its image: the whole path below the dataset's folder, else a name that is unique."""
    whole = {str(document["image"]): number for number, document in enumerate(documents)}
    named: dict[str, list[int]] = {}
    for path, number in whole.items():
        named.setdefault(PurePosixPath(path).stem, []).append(number)

    def find(text: str) -> int | None:
        path = PurePosixPath(text.strip().replace("\\", "/"))
        for start in range(len(path.parts)):
            if (number := whole.get("/".join(path.parts[start:]))) is not None:
                return number
        numbers = named.get(path.stem, [])
        return numbers[0] if len(numbers) == 1 else None

    return find


def _check_answers(chosen: Mapping[int, Row], documents: Sequence[Document], asked: Asked, by: str) -> None:
    """Refuse right answers that are no labels of the documents; an index alone proves nothing without them."""
    told = {number: row for number, row in chosen.items() if row.values.get("answer")}
    if by == "index" and not told:
        row = next(iter(chosen.values()))
        raise ExchangeError(
            f"{row.path} has neither an id nor the right answers, so that nothing shows that its index is the number of a "
            f"document of {asked.task.name}. Import the file that it writes at its end, with the columns of the TSV"
        )
    wrong = [
        row
        for number, row in told.items()
        if not _same_label(str(row.values["answer"]), asked.right_answers(documents[number]))
    ]
    _refuse(
        wrong,
        lambda row: f"the answer {row.values['answer']!r} is not right for the document with {by} {row.values.get(by)!r}",
        "The rows are in another order, or of another task",
    )


def _check_options(chosen: Mapping[int, Row], documents: Sequence[Document], asked: Asked) -> None:
    """Refuse rows that offered other options than the task does."""
    if not asked.offers_options:
        return
    offered = {number: asked.options(documents[number]) for number in chosen}
    _refuse(
        [row for number, row in chosen.items() if _in_columns(offered[number]) != _letters(row)],
        lambda row: f"the options {', '.join(map(str, _letters(row).values())) or 'are missing'} are not those of the task",
        "Set FINER_CHOICES as it was when the TSV was written",
    )


def _in_columns(options: Options) -> dict[str, str]:
    return dict(zip(options.letters, options.names, strict=True))


def _letters(row: Row) -> dict[str, str]:
    """The options in a row, whose columns are single capital letters."""
    return {name: value for name, value in row.values.items() if value and len(name) == 1 and name in LETTERS}


def _same_label(answer: str, labels: Iterable[str]) -> bool:
    return _plain(answer) in {_plain(label) for label in labels}


def _plain(label: str) -> str:
    return " ".join(label.replace("_", " ").split()).casefold()


def _refuse(rows: Sequence[Row], why: Callable[[Row], str], fix: str) -> None:
    """Raise ExchangeError that names the first rows with their lines."""
    if not rows:
        return
    shown = [f"{row.path}:{row.line}: {why(row)}" for row in rows[:_SHOWN]]
    more = [f"and {len(rows) - _SHOWN} more rows"] if len(rows) > _SHOWN else []
    raise ExchangeError("\n".join([*shown, *more, fix]))
