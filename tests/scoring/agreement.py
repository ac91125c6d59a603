"""Agreement of em and em_strict with verdicts by hand on whole answers; `python -m tests.scoring.agreement` prints the tables.

With `--judge` and `--judge-model`, as `finer results` has them, it prints the agreement of a judge instead, on these files or on
others of the same columns.

Each file was written and judged before the scorer was run on it, and the scorer was mended on it
afterwards. second.jsonl came after the mending on first.jsonl; third.jsonl (141 answers, and 60 after
the mending on those) and fourth.jsonl are by another person, who had not seen the scorer before;
fifth.jsonl (207, and 50 after the mending on those) is by a third.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from finer_tasks.datasets.prepared import data_dir
from finer_tasks.datasets.record import accepted_labels
from finer_tasks.datasets.taxonomy import load_taxonomy
from finer_tasks.replies import read_reply
from finer_tasks.runs.judging import Judge, Question, judge_named
from finer_tasks.scoring.classification import exact_match
from finer_tasks.scoring.strict import Lexicon, StrictScore, score_strict

ANSWERS = Path(__file__).parent / "answers"


@dataclass(frozen=True)
class Judged:
    """An answer with its verdicts: by hand, by em, and by em_strict."""

    dataset: str
    style: str
    answer: str
    labels: tuple[str, ...]
    human: bool
    em: bool
    strict: StrictScore


@cache
def lexicon(dataset: str) -> Lexicon:
    taxonomy = load_taxonomy(dataset)
    return Lexicon.of(taxonomy, {c.concept_id: c for c in taxonomy.classes.values()}.values())


def judge(dataset: str, class_name: str, level: str, answer: str) -> StrictScore:
    """The strict score of an answer about a class."""
    return score_strict(answer, asdict(load_taxonomy(dataset).concept(class_name)), level, lexicon(dataset))


def judged(path: Path) -> list[Judged]:
    """The answers of a file of columns dataset, level, class, answer, human and, where known, style."""
    found = []
    for row in map(json.loads, path.read_text(encoding="utf-8").splitlines()):
        concept = asdict(load_taxonomy(row["dataset"]).concept(row["class"]))
        answer = read_reply(row["answer"]).answer
        labels = tuple(accepted_labels(concept, row["level"]))
        em = exact_match(answer, labels) == 1
        strict = judge(row["dataset"], row["class"], row["level"], answer)
        found.append(Judged(row["dataset"], row.get("style", ""), row["answer"], labels, row["human"], em, strict))
    return found


def agreement(answers: Iterable[Judged]) -> tuple[int, int, int, int]:
    """How many answers there are, on how many em and em_strict agree with the hand, and how often em_strict is falsely right."""
    answers = list(answers)
    return (
        len(answers),
        sum(a.em == a.human for a in answers),
        sum(a.strict.right == a.human for a in answers),
        sum(a.strict.right and not a.human for a in answers),
    )


def table(column: str) -> str:
    """Agreement on all files together by a column, as Markdown."""
    answers = [answer for path in sorted(ANSWERS.glob("*.jsonl")) for answer in judged(path)]
    lines = [
        f"| {column} | answers | em agrees | em_strict agrees | em falsely right | em_strict falsely right |",
        "|---|---|---|---|---|---|",
    ]
    for value in (*sorted({getattr(a, column) for a in answers}), "all"):
        some = [a for a in answers if value in ("all", getattr(a, column))]
        count, em, strict, false_right = agreement(some)
        em_false = sum(a.em and not a.human for a in some)
        lines.append(
            f"| {value} | {count} | {em} ({em / count:.0%}) | {strict} ({strict / count:.0%}) | {em_false} | {false_right} |"
        )
    return "\n".join(lines)


def judge_table(judge: Judge, files: Iterable[Path]) -> str:
    """Agreement of a judge, em and em_strict with the hand, as Markdown; answers without a verdict are left out."""
    lines = [
        "| answers | verdicts | judge agrees | em agrees | em_strict agrees | judge falsely right |",
        "|---|---|---|---|---|---|",
    ]
    for file in files:
        answers = judged(file)
        verdicts = [judge(Question(a.labels, read_reply(a.answer).answer)) for a in answers]
        pairs = [(a, verdict) for a, verdict in zip(answers, verdicts, strict=True) if verdict is not None]
        agrees = [
            sum(values) for values in (
                [verdict == a.human for a, verdict in pairs], [a.em == a.human for a, _ in pairs],
                [a.strict.right == a.human for a, _ in pairs], [bool(verdict) and not a.human for a, verdict in pairs],
            )
        ]  # fmt: skip
        lines.append(f"| {file.name}, {len(answers)} | {len(pairs)} | {' | '.join(map(str, agrees))} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("files", nargs="*", type=Path, default=sorted(ANSWERS.glob("*.jsonl")))
    parser.add_argument("--judge")
    parser.add_argument("--judge-model")
    arguments = parser.parse_args()
    if arguments.judge:
        key = os.environ.get("OPENAI_API_KEY", "").strip()
        judge = judge_named(arguments.judge, arguments.judge_model, key, data_dir() / "judge")
        print(judge_table(judge, arguments.files))
    else:
        print(table("dataset"), table("style"), sep="\n\n")


if __name__ == "__main__":
    main()
