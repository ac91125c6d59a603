"""How alike two attributes are, by a scorer with a name; some ask a model."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import cast

import numpy as np

from finer_tasks.errors import KnowledgeError
from finer_tasks.scoring.attributes import LexicalSimilarity, Similarity, without_contradictions


class EmbeddingSimilarity:
    """Cosine of sentence embeddings, floored at 0, contradictions 0. `model`: name or path for sentence-transformers."""

    name = "embedding"

    def __init__(self, model: str) -> None:
        from sentence_transformers import SentenceTransformer

        self._model = SentenceTransformer(model)
        self._known: dict[str, np.ndarray] = {}

    def __call__(self, generated: Sequence[str], references: Sequence[str]) -> np.ndarray:
        fresh = list({phrase for phrase in (*generated, *references) if phrase not in self._known})
        if fresh:
            encoded = self._model.encode(fresh, normalize_embeddings=True, show_progress_bar=False)
            self._known |= dict(zip(fresh, encoded, strict=True))
        if not generated or not references:
            return np.zeros((len(generated), len(references)))
        matrix = np.stack([self._known[p] for p in generated]) @ np.stack([self._known[p] for p in references]).T
        return without_contradictions(np.clip(matrix, 0, 1), generated, references)


class EntailmentSimilarity:
    """Probability that a reference entails the phrase, by a transformers NLI model (the role of AlignScore in the paper)."""

    name = "nli"

    def __init__(self, model: str, batch_size: int = 64) -> None:
        import torch
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        self._tokenizer = AutoTokenizer.from_pretrained(model)
        self._model = AutoModelForSequenceClassification.from_pretrained(model).eval()
        labels = {str(label).lower(): int(index) for label, index in self._model.config.label2id.items()}
        entailing = [index for label, index in labels.items() if "entail" in label and "not" not in label]
        if not entailing:
            raise ValueError(f"its labels {', '.join(labels)} name no entailment; give a model trained on NLI")
        self._entailment = entailing[0]
        self._batch_size, self._torch = batch_size, torch
        self._known: dict[tuple[str, str], float] = {}

    def __call__(self, generated: Sequence[str], references: Sequence[str]) -> np.ndarray:
        pairs = [(reference, phrase) for phrase in generated for reference in references]
        fresh = list({pair for pair in pairs if pair not in self._known})
        for start in range(0, len(fresh), self._batch_size):
            batch = fresh[start : start + self._batch_size]
            inputs = self._tokenizer(*zip(*batch, strict=True), padding=True, truncation=True, return_tensors="pt")
            with self._torch.inference_mode():
                probabilities = self._model(**inputs).logits.softmax(-1)[:, self._entailment].tolist()
            self._known |= dict(zip(batch, probabilities, strict=True))
        matrix = np.array([self._known[pair] for pair in pairs]).reshape(len(generated), len(references))
        return without_contradictions(matrix, generated, references)


@cache
def similarity_named(name: str) -> Similarity:
    """A scorer by name: lexical, embedding:<model> or nli:<model>."""
    kind, _, model = name.partition(":")
    try:
        if kind == "lexical" and not model:
            return LexicalSimilarity()
        if kind == "embedding" and model:
            return EmbeddingSimilarity(model)
        if kind == "nli" and model:
            return EntailmentSimilarity(model)
    except ImportError as error:
        raise KnowledgeError(f"similarity {name!r} needs a package that is not installed ({error})") from error
    except (OSError, ValueError, RuntimeError, LookupError, _broken_weights()) as error:
        raise KnowledgeError(f"similarity {name!r}: the model cannot be loaded ({' '.join(str(error).split())})") from error
    raise KnowledgeError(f"unknown similarity {name!r}; give lexical, embedding:<model> or nli:<model>")


def _broken_weights() -> type[Exception]:
    from safetensors import SafetensorError

    return cast(type[Exception], SafetensorError)
