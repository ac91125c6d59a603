"""Rewards (GRPO) against answers to imitate (supervised LoRA) from one base checkpoint at equal compute, on mini.

    OMP_NUM_THREADS=1 python benchmarks/grpo.py --output DIR [--steps 40] [--seeds 0 1 2] [--both]

The base is that of seed 0 of `finer reproduce mini`: its encoder was taught outlines and parts, its language model all
concepts' names and attributes from text, its projector coarse labels, so that it can name fine concepts and mostly names the
wrong one. All dogs are held out of tuning. Every arm sees the same images with the same questions, those of the task
finer_mini_fine, and trains the same LoRA weights; what differs is what it learns from: the true answer, or the reward of its
own answers. `--both` adds an arm with half of the compute for each, imitation first.

Compute is counted in FLOPs: N being the frozen weights of the language model, T its trained ones, V those of the vision encoder
and the projector, a token costs 2 (N + T) forward, 2 N + 4 T more backward, and an image 2 V for each of its patches, each time
that the encoder is run. A GRPO answer is drawn (one forward pass over its question, its tokens added one by one on the cache)
and then learned from; without `beta` there is no further pass. GRPO's steps are given, the others' follow from its compute. The
processor's seconds of each run stand beside. A stopped benchmark goes on from the runs that are done.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset
from record import save, version

from finer_tasks.datasets.mini import reader as mini
from finer_tasks.datasets.prepare import Request, ensure_prepared, prepare
from finer_tasks.datasets.prepared import VARIABLE
from finer_tasks.datasets.record import concept_key
from finer_tasks.models.loading import LoadOptions, load_processor
from finer_tasks.runs.reading import read_run
from finer_tasks.statistics.clusters import Clusters, Floats
from finer_tasks.statistics.crossed import by_concept, components, crossed_mean
from finer_tasks.training.evaluating import Limits, evaluate
from finer_tasks.training.grpo.questions import questions_of
from finer_tasks.training.grpo.recipe import GrpoRecipe, Reward
from finer_tasks.training.grpo.train import train_grpo
from finer_tasks.training.mixture.build import FEATURES, build_mixture
from finer_tasks.training.mixture.reading import read_mixture
from finer_tasks.training.mixture.recipe import HeldOut, MixtureRecipe
from finer_tasks.training.recipe import read_recipe, recipe_hash
from finer_tasks.training.reproduce.bases import make_base
from finer_tasks.training.reproduce.layout import Layout
from finer_tasks.training.reproduce.plan import Plan
from finer_tasks.training.tuning.encoding import ConversationEncoder
from finer_tasks.training.tuning.lengths import measure
from finer_tasks.training.tuning.output import merge_adapter
from finer_tasks.training.tuning.recipe import Lora, TrainRecipe
from finer_tasks.training.tuning.train import train

HELD_OUT = "Dog"
PATCHES = 65
TASKS = ("finer_mini_fine", "finer_mini_coarse")
SCORES = ("em", "em_strict")
PER_CONCEPT = 3
LORA = Lora(16, 32, 0.0)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--grpo-learning-rate", type=float, default=1e-3)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--both", action="store_true")
    arguments = parser.parse_args()
    bench = Benchmark(arguments)
    bench.prepare()
    for seed in arguments.seeds:
        bench.grpo(seed)
        bench.supervised(seed)
        if arguments.both:
            bench.both(seed)
    save("grpo-mini", bench.figures())


class Benchmark:
    """The runs below a folder; one that is done is not done again."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments, self.root = arguments, arguments.output
        self.layout = Layout(self.root)
        self.base = self.layout.base(0)
        self.mixture, self.asked = self.root / "mixture", self.root / "mixture-as-asked"

    def prepare(self) -> None:
        """The base model, the mixture, the same images with the questions of the evaluation, and the test documents."""
        if not self.base.exists():
            make_base(read_recipe(Plan, Path("mini")), 0, self.layout)
        if not self.mixture.exists():
            held_out = HeldOut(superordinates=(HELD_OUT,))
            build_mixture(MixtureRecipe("mini-direct", {"mini": None}, style="direct", held_out=held_out), self.mixture)
        if not self.asked.exists():
            self._ask()
        if not self.layout.data.exists():
            root = Path(ensure_prepared("mini").manifest.root)
            prepare(Request("mini", root, ("test",), per_concept=PER_CONCEPT), self.layout.data)
        self._evaluate("base", f"pretrained={self.base}")

    def _ask(self) -> None:
        """A mixture like the first one whose conversations are the evaluation's questions with their true answers."""
        card, conversations = read_mixture(self.mixture)
        questions = questions_of(self._grpo_recipe(0, self.base, Path(), 1), card, conversations)
        rows = [
            dict(entry) | {"conversations": [
                {"from": "human", "value": f"<image>\n{row['prompt'][0]['content']}"},
                {"from": "gpt", "value": f"Answer: {row['doc']['fine'][0]}"},
            ]}
            for entry, row in zip(conversations, questions, strict=True)
        ]  # fmt: skip
        self.asked.mkdir()
        (self.asked / "images").symlink_to((self.mixture / "images").resolve())
        Dataset.from_list(rows, features=FEATURES).save_to_disk(str(self.asked / "arrow"))
        card = card | {"name": "mini-as-asked", "hash": recipe_hash(rows)}
        (self.asked / "card.json").write_text(json.dumps(card), encoding="utf-8")

    def grpo(self, seed: int) -> None:
        """All compute for GRPO."""
        recipe = self._grpo_recipe(seed, self.base, self._run("grpo", seed), self.arguments.steps)
        self._train("grpo", seed, lambda: train_grpo(recipe))

    def supervised(self, seed: int) -> None:
        """The compute of the seed's GRPO run for imitation."""
        steps = round(self._compute("grpo", seed) / self._step_of_imitation())
        recipe = self._supervised_recipe(seed, self._run("supervised", seed), steps)
        self._train("supervised", seed, lambda: train(recipe))

    def both(self, seed: int) -> None:
        """Half of the steps of each, imitation first."""
        first = self._run("both-first", seed)
        steps = round(self._compute("grpo", seed) / self._step_of_imitation() / 2)
        self._train("both-first", seed, lambda: train(self._supervised_recipe(seed, first, steps)), evaluated=False)
        merged = self.root / "merged" / str(seed)
        if not merged.exists():
            merge_adapter(first, merged)
        recipe = self._grpo_recipe(seed, merged, self._run("both", seed), self.arguments.steps // 2)
        self._train("both", seed, lambda: train_grpo(recipe), str(merged))

    def _grpo_recipe(self, seed: int, model: Path, output: Path, steps: int) -> GrpoRecipe:
        return GrpoRecipe(
            str(model), self.mixture, output, seed=seed, lora=LORA, projector="frozen", levels=("fine",),
            reward=Reward(max_characters=60), group_size=8, max_new_tokens=16, global_batch_size=32, micro_batch_size=32,
            learning_rate=self.arguments.grpo_learning_rate, max_steps=steps, epochs=9, workers=0, save_every=10, log_every=5,
        )  # fmt: skip

    def _supervised_recipe(self, seed: int, output: Path, steps: int) -> TrainRecipe:
        return TrainRecipe(
            str(self.base), self.asked, output, seed=seed, lora=LORA, projector="frozen", global_batch_size=32,
            micro_batch_size=32, learning_rate=self.arguments.learning_rate, max_steps=steps, epochs=9, max_length=512,
            workers=0, save_every=50, log_every=10,
        )  # fmt: skip

    def _run(self, arm: str, seed: int) -> Path:
        return self.root / "runs" / arm / str(seed)

    def _train(self, arm: str, seed: int, do: Callable[[], Any], base: str = "", evaluated: bool = True) -> None:
        run = self._run(arm, seed)
        clock = run.with_name(f"{seed}.seconds.json")
        if not (run / "training.json").exists():
            run.parent.mkdir(parents=True, exist_ok=True)
            worked = time.process_time()
            do()
            clock.write_text(json.dumps(round(time.process_time() - worked, 1)))
        if evaluated:
            self._evaluate(f"{arm}-{seed}", f"pretrained={base or self.base},peft={run}")

    def _evaluate(self, name: str, model_args: str) -> None:
        variables = {VARIABLE: str(self.layout.data.resolve())}
        evaluate(self.root / "evaluations" / name, model_args, TASKS, Limits(None, 24), variables)

    def _record(self, arm: str, seed: int) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self._run(arm, seed) / "training.json").read_text())
        return found

    def _compute(self, arm: str, seed: int) -> float:
        """FLOPs of a run."""
        record = self._record(arm, seed)
        answers = record["steps"] * record["recipe"]["global_batch_size"]
        if record["recipe"]["method"] == "supervised":
            return float(record["steps"] * self._step_of_imitation())
        frozen, trained, seeing = _weights(record)
        return float(record["tokens"] * (6 * frozen + 8 * trained) + 2 * answers * PATCHES * 2 * seeing)

    def _step_of_imitation(self) -> float:
        recipe = self._supervised_recipe(0, Path(), 1)
        encoder = ConversationEncoder(load_processor(LoadOptions(recipe.model)), recipe.mixture / "images")
        tokens = float(measure(read_mixture(self.asked)[1], encoder).mean())
        frozen, trained, seeing = _weights(self._record("grpo", self.arguments.seeds[0]))
        return recipe.global_batch_size * (tokens * (4 * frozen + 6 * trained) + PATCHES * 2 * seeing)

    def figures(self) -> dict[str, Any]:
        """Scores by arm, differences, and what each run took."""
        seeds, arms = self.arguments.seeds, ["grpo", "supervised", *(["both"] if self.arguments.both else [])]
        tables = {arm: self._tables([f"{arm}-{seed}" for seed in seeds]) for arm in arms}
        tables["base"] = self._tables(["base"] * len(seeds))
        held_out = np.array([concept.superordinate == HELD_OUT for concept in self._concepts()])
        rows = []
        for part, taken in (("held-in", ~held_out), ("held-out", held_out)):
            for task in TASKS:
                for score in SCORES:
                    means = {arm: found[task, score][:, taken] for arm, found in tables.items()}
                    row: dict[str, Any] = {"part": part, "task": task, "score": score}
                    row |= {arm: _mean(table) for arm, table in means.items()}
                    pairs = [("grpo", "supervised"), *((arm, "base") for arm in arms)]
                    pairs += [("both", "supervised")] if "both" in arms else []
                    row["differences"] = {f"{one} - {two}": _difference(means[one], means[two]) for one, two in pairs}
                    rows.append(row)
        grpo = self._grpo_recipe(0, Path("BASE"), Path("RUN"), self.arguments.steps)
        supervised = asdict(self._supervised_recipe(0, Path("RUN"), 1)) | {"model": "BASE", "max_steps": "by compute"}
        runs = [*arms, *(["both-first"] if "both" in arms else [])]
        return {
            "trl": version("trl"),
            "recipes": {"grpo": _plain(asdict(grpo)), "supervised": _plain(supervised)},
            "documents": PER_CONCEPT * len(held_out),
            "concepts": {"held-in": int((~held_out).sum()), "held-out": int(held_out.sum())},
            "runs": [self._account(arm, seed) for arm in runs for seed in seeds],
            "scores": rows,
        }

    def _account(self, arm: str, seed: int) -> dict[str, Any]:
        record, clock = self._record(arm, seed), self._run(arm, seed).with_name(f"{seed}.seconds.json")
        rewards = [round(entry["reward"], 3) for entry in record.get("reward", [])]
        return {
            "arm": arm, "seed": seed, "steps": record["steps"], "gigaflops": round(self._compute(arm, seed) / 1e9, 1),
            "processor_seconds": json.loads(clock.read_text()), "mean_loss": round(record["mean_loss"], 4), "rewards": rewards,
        }  # fmt: skip

    def _tables(self, names: Sequence[str]) -> dict[tuple[str, str], Floats]:
        """By task and score, concept means of shape (seeds, concepts)."""
        found: dict[tuple[str, str], list[Floats]] = {}
        for name in names:
            for task in read_run(self.root / "evaluations" / name).tasks:
                clusters = self._clusters([str(sample.record["concept_id"]) for sample in task.samples])
                for score in SCORES:
                    values = np.array([[sample.score(score) for sample in task.samples]])
                    found.setdefault((task.name, score), []).append(by_concept(values, clusters)[0])
        return {key: np.stack(rows) for key, rows in found.items()}

    def _clusters(self, concepts: Sequence[str]) -> Clusters:
        clusters = Clusters.of([concept_key("mini", concept) for concept in concepts])
        self._names = clusters.names
        return clusters

    def _concepts(self) -> list[Any]:
        known = {concept_key("mini", one.concept.concept_id): one.concept for one in mini.mini_concepts()}
        return [known[name] for name in self._names]


def _weights(record: dict[str, Any]) -> tuple[int, int, int]:
    counted = record["parameters"]
    return counted["language"], counted["trained"], counted["vision"]


def _mean(table: Floats) -> dict[str, Any]:
    found = asdict(crossed_mean(table))
    return _rounded({key: found[key] for key in ("value", "low", "high")}) | {
        "by_seed": [round(v, 4) for v in table.mean(1).tolist()]
    }


def _difference(one: Floats, two: Floats) -> dict[str, Any]:
    """With what so many seeds and concepts could have told from zero."""
    table = one - two
    return _mean(table) | _rounded({"detectable": components(table).detectable(*table.shape)})


def _rounded(values: dict[str, float]) -> dict[str, float | None]:
    return {name: None if np.isnan(value) else round(value, 4) for name, value in values.items()}


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(values, default=lambda path: os.path.basename(str(path))))
    return found


if __name__ == "__main__":
    main()
