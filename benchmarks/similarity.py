"""Similarities of attributes against verdicts by hand on 200 pairs, and BERTScore, with weights of your own.

    PYTHONPATH=. python benchmarks/similarity.py --similarity embedding:FOLDER --bertscore FOLDER:LAYERS

The pairs and what is measured are in tests/scoring/pairs.py. BERTScore has no threshold, so it has an AUC alone.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from record import save

from finer_tasks.statistics.bootstrap import Estimate
from tests.scoring.pairs import auc, auc_estimate, bootstrap, kinds, of_kind, pairs, right, similarities, verdicts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--similarity", action="append", default=[], help="embedding:FOLDER or nli:FOLDER, beside lexical")
    parser.add_argument("--bertscore", metavar="FOLDER:LAYERS")
    arguments = parser.parse_args()
    values = {shown(name): similarities(name) for name in ("lexical", *arguments.similarity)}
    figures: dict[str, Any] = {name: agreement(one) for name, one in values.items()}
    figures |= {f"{name} minus lexical": paired(values[name], values["lexical"]) for name in list(values)[1:]}
    if arguments.bertscore:
        found = bertscore(*arguments.bertscore.rsplit(":", 1))
        figures[f"bertscore:{Path(arguments.bertscore).name}"] = {
            "auc": rounded(auc_estimate(found)),
            "quartiles": quartiles(found),
        }
    save("similarity", {"pairs": len(pairs()), "same": int(verdicts().sum()), "scorers": figures})


def shown(name: str) -> str:
    """A scorer without the path to its model."""
    kind, _, model = name.partition(":")
    return f"{kind}:{Path(model).name}" if model else kind


def agreement(values: np.ndarray) -> dict[str, Any]:
    """Right share and AUC with intervals over pairs, right shares by kind, quartiles by verdict."""
    chosen = {f"{kind}, {'same' if same else 'not the same'}": of_kind(kind, same) for kind, same in kinds()}
    return {
        "right": rounded(bootstrap().mean(right(values))),
        "auc": rounded(auc_estimate(values)),
        "right_by_kind": {name: round(float(right(values)[mask].mean()), 3) for name, mask in chosen.items()},
        "quartiles": quartiles(values),
    }


def paired(values: np.ndarray, others: np.ndarray) -> dict[str, Any]:
    """Differences on the same pairs, and the rank correlation of the two."""
    from scipy.stats import spearmanr

    return {
        "right": rounded(bootstrap().mean(right(values) - right(others))),
        "auc": rounded(bootstrap().statistic(lambda counts: auc(values, counts) - auc(others, counts))),
        "verdicts_equal": round(float((right(values) == right(others)).mean()), 3),
        "spearman": round(float(spearmanr(values, others).statistic), 3),
    }


def bertscore(model: str, layers: str) -> np.ndarray:
    """BERTScore F1 of each pair, shape (pairs,)."""
    from bert_score import score

    _, _, f1 = score([p.one for p in pairs()], [p.other for p in pairs()], model_type=model, num_layers=int(layers))
    return np.asarray(f1, dtype=np.float64)


def quartiles(values: np.ndarray) -> dict[str, list[float]]:
    """First quartile, median and third of the pairs by verdict."""
    same = verdicts()
    parts = {"same": values[same], "not the same": values[~same]}
    return {name: [round(float(q), 3) for q in np.quantile(some, (0.25, 0.5, 0.75))] for name, some in parts.items()}


def rounded(estimate: Estimate) -> dict[str, float]:
    """An estimate to three digits."""
    return {name: round(value, 3) for name, value in asdict(estimate).items()}


if __name__ == "__main__":
    main()
