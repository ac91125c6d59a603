"""finer-tasks on one GPU, in one run under nine minutes: generation, closed sets and LoRA steps beside their alternatives.

    python benchmarks/gpu.py [--tiny] [--budget 520] [--output gpu.json] [--only device generation …]

Needs a checkout, installed or not, and torch, torchvision, transformers, peft, accelerate, pydantic and xxhash alone. TRL,
Liger and bitsandbytes are measured where they are installed. Models are of LLaVA-1.5-7B's architecture, with random weights
in bfloat16.

Parts run in order of value, each in at most its own time. The file is rewritten after every figure, so that a run which is cut
short leaves what it had. What could not run says why: `not run: needs …`, `failed: …`, `cut off …`. Ratios are of runs
beside each other. `--tiny` runs every part at a size for tests, on any machine; its figures mean nothing.
"""

from __future__ import annotations

import argparse
import copy
import gc
import json
import logging
import math
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from importlib import import_module
from importlib.util import find_spec
from itertools import cycle
from pathlib import Path
from types import SimpleNamespace
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
TRANSFORMERS = "5.24"  # the oldest that finer-tasks takes
LEVELS = ("superordinate", "coarse", "fine")
GRACE = 5  # seconds in which a part may end by itself before it is cut off
EPOCHS = 2  # of training: one to warm up, one to measure
# Liger 0.8.5's fused loss for LLaVA does not take what transformers 5.24 hands it.
LIGER = {"fused_linear_cross_entropy": False}


class NotRun(Exception):
    """Why something cannot be measured here."""


@dataclass(frozen=True)
class Size:
    """How large a run is: of `documents` in batches, `apart` one by one; of `rows` to train on, `step` at a time."""

    shape: str
    matrix: int
    documents: int
    batch_size: int
    apart: int
    new_tokens: int
    repeats: int
    rows: int
    step: int
    rank: int
    workers: int


FULL = Size("llava-1.5-7b", 8192, 96, 24, 8, 16, 3, 64, 4, 128, 4)
TINY = Size("tiny", 128, 2, 6, 2, 2, 1, 4, 2, 4, 0)


class Results:
    """The file of a run, replaced in one step with every change."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.path.read_text(encoding="utf-8"))
        return found

    def write(self, document: Mapping[str, Any]) -> None:
        fresh = self.path.with_name(f".{self.path.name}.new")
        fresh.write_text(json.dumps(document, indent=2, allow_nan=False) + "\n", encoding="utf-8")
        os.replace(fresh, self.path)

    def note(self, part: str, **values: Any) -> None:
        """Add values to a part."""
        document = self.read()
        document["parts"][part] = document["parts"].get(part, {}) | values
        self.write(document)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiny", action="store_true", help="every part at a size for tests")
    parser.add_argument("--budget", type=float, default=520, help="seconds after which the run has ended")
    parser.add_argument("--output", type=Path, default=Path("gpu.json"))
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    results = Results(arguments.output)
    if arguments.worker:
        work(arguments, results)
        return
    if problem := refused(arguments):
        parser.error(problem)
    supervise(arguments, results)
    parts = results.read()["parts"]
    print("\n".join(f"{name}: {part['state']}" for name, part in parts.items()))
    sys.exit(any(part["state"].startswith("failed") for part in parts.values()))


def refused(arguments: argparse.Namespace) -> str | None:
    """Why a run cannot be had, if it cannot."""
    if not arguments.budget > 0:
        return f"--budget {arguments.budget:g}: give the seconds that the run may take"
    if arguments.output.exists():
        return f"--output {arguments.output} is there; give another file, or move it away"
    if not arguments.output.absolute().parent.is_dir():
        return f"--output {arguments.output}: its folder is not there; make it first"
    if not arguments.tiny and find_spec("torch"):
        import torch

        if not torch.cuda.is_available():
            return "torch sees no GPU, without which the full size takes days; --tiny tries all parts on a CPU"
    return None


def supervise(arguments: argparse.Namespace, results: Results) -> None:
    """Run the parts in processes of their own, which end with a part that crashes, hangs or takes too long."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # not without ending the process below
    end = time.time() + arguments.budget
    results.write({"parts": {}})
    waiting = [name for name in PARTS if name in arguments.only]
    while waiting and time.time() < end:
        apart = [name for name in waiting[1:] if PARTS[name].alone]
        batch = waiting[: 1 if PARTS[waiting[0]].alone else waiting.index(apart[0]) if apart else None]
        options = ["--only", *batch, "--budget", str(end - time.time()), "--output", str(arguments.output)]
        command = [sys.executable, __file__, "--worker", *options, *(["--tiny"] if arguments.tiny else [])]
        worker = subprocess.Popen(command, env={"CUDA_VISIBLE_DEVICES": "0", **os.environ})  # of several cards, one
        try:
            watch(worker, results, end, math.inf if arguments.tiny else 1)
        finally:
            worker.kill()
        if batch[0] not in results.read()["parts"] and time.time() < end:
            results.note(batch[0], state=f"failed: its process ended with {worker.returncode} before it began")
        waiting = [name for name in waiting if name not in results.read()["parts"]]
    for name in waiting:
        results.note(name, state=f"not run: no time is left of {arguments.budget:.0f} seconds")


def watch(worker: subprocess.Popen[bytes], results: Results, end: float, patience: float) -> None:
    """Wait for a process, and end it where its part takes longer than it may, times `patience`."""

    def running() -> tuple[str, float] | None:
        parts = results.read()["parts"].items()
        return next(((name, part["began"]) for name, part in parts if part["state"] == "running"), None)

    while worker.poll() is None:
        found = running()
        last = min(end, found[1] + patience * PARTS[found[0]].seconds + GRACE) if found else end
        if time.time() > last:
            worker.kill()
            worker.wait()
            if found := running():
                results.note(found[0], state=f"cut off after {time.time() - found[1]:.0f} seconds")
        time.sleep(0.1)
    if found := running():
        results.note(found[0], state=f"failed: its process ended with {worker.returncode}")


def work(arguments: argparse.Namespace, results: Results) -> None:
    """Run parts in this process."""
    end = time.time() + arguments.budget - GRACE
    use_checkout()
    with tempfile.TemporaryDirectory() as folder:
        run = Run(TINY if arguments.tiny else FULL, Path(folder), results)
        run.describe()
        for name in arguments.only:
            run.part, run.end = name, min(end, time.time() + (math.inf if arguments.tiny else PARTS[name].seconds))
            results.note(name, state="running", began=time.time())
            began = time.perf_counter()
            state = outcome(partial(PARTS[name].measure, run))
            results.note(name, state=state, seconds=round(time.perf_counter() - began, 1))


def outcome(measure: Callable[[], Any]) -> str:
    """What became of a measurement."""
    try:
        measure()
    except NotRun as why:
        return f"not run: {why}"
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] == "finer_tasks":
            traceback.print_exc()
            return f"failed: {error}"
        return f"not run: needs {error.name}"
    except Exception as error:  # whatever is wrong with one part, the others are measured
        traceback.print_exc()
        return f"failed: {type(error).__name__}: {' '.join(str(error).split())[:400]}"
    return "measured"


def use_checkout() -> None:
    """Make `finer_tasks` that of this checkout, with training/ below it as setup.cfg says, whether installed or not."""
    sys.path.insert(0, str(ROOT))
    import_module("finer_tasks").__path__.append(str(ROOT))
    if find_spec("loguru") is None:  # its messages are not needed
        sys.modules["loguru"] = SimpleNamespace(logger=logging.getLogger("finer"))


def require(*packages: str) -> None:
    """Raise NotRun naming the packages that are not installed; the version counts for transformers alone."""
    from record import version

    for package in packages:
        if version(package) is None:
            raise NotRun(f"needs {package}")
    if "transformers" in packages and _numbers(version("transformers")) < _numbers(TRANSFORMERS):
        raise NotRun(f"needs transformers>={TRANSFORMERS}, as finer-tasks does; here is {version('transformers')}")


def _numbers(version: str | None) -> tuple[int, ...]:
    return tuple(int(part) for part in (version or "0").split(".")[:2])


class Run:
    """What the parts of a run share: device, models, documents and conversations, all from a seed."""

    def __init__(self, size: Size, folder: Path, results: Results) -> None:
        import torch
        from llava import SHAPES, Shape

        self.size, self.folder, self.results = size, folder, results
        self.part, self.end = "", 0.0
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.shape = SHAPES.get(size.shape) or Shape(32, 8, (32, 64, 2, 2), (64, 128, 2, 2))

    def describe(self) -> None:
        """Write what the figures depend on."""
        from record import head, version

        document = head("gpu")
        document["versions"] |= {name: version(name) for name in ("trl", "liger-kernel", "bitsandbytes")}
        self.results.write(document | {"size": vars(self.size), "shape": str(self.shape)} | self.results.read())

    def note(self, **figures: Any) -> None:
        """Add figures to the part that runs."""
        self.results.note(self.part, **figures)

    @property
    def left(self) -> float:
        """Seconds that the part may still take."""
        return self.end - time.time()

    @cached_property
    def tokenizer(self) -> Any:
        from llava import make_tokenizer

        return make_tokenizer()

    def processor(self) -> Any:
        """A fresh one, for generation pads on the left and training on the right."""
        from llava import make_processor

        return make_processor(self.shape, copy.deepcopy(self.tokenizer))

    def model(self) -> Any:
        """A fresh one where the device is, when those before it are gone."""
        from llava import make_model

        self.release()
        return make_model(self.shape, self.tokenizer, str(self.device))

    @cached_property
    def generator(self) -> Any:
        from finer_tasks.models.conversation import ChatEncoder
        from finer_tasks.models.generation import Generator

        return Generator(self.model().eval(), ChatEncoder(self.processor()), self.device)

    def quantized(self) -> Any:
        """One with weights of 4 bits, loaded as `finer train quantize=4bit` does."""
        from peft import prepare_model_for_kbit_training

        from finer_tasks.models.loading import LoadOptions, load_model

        folder = str(self.folder / "model")
        self.model().save_pretrained(folder)
        self.release()
        model = load_model(LoadOptions(folder, load_in_4bit=True, dtype="bfloat16"), self.device)
        return prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)

    def release(self) -> None:
        """Give the memory of models back, and count its peak anew."""
        import torch

        vars(self).pop("generator", None)
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()

    def timed(self, call: Callable[[], Any]) -> tuple[Any, float]:
        """What a call returns, and its seconds until the device has done all of it."""
        import torch

        started = time.perf_counter()
        found = call()
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        return found, time.perf_counter() - started

    def peak_gib(self) -> float | None:
        import torch

        return round(torch.cuda.max_memory_allocated() / 2**30, 2) if self.device.type == "cuda" else None

    @cached_property
    def concepts(self) -> list[Any]:
        from finer_tasks.datasets.taxonomy import load_taxonomy

        return list(load_taxonomy("cub").classes.values())

    @cached_property
    def images(self) -> list[Path]:
        """Files of 500 x 375 pixels that decode about as fast as photographs."""
        import numpy as np
        from PIL import Image

        rng = np.random.default_rng(0)
        paths = [self.folder / "images" / f"{number}.jpg" for number in range(max(self.size.documents, self.size.rows))]
        paths[0].parent.mkdir()
        for path in paths:
            Image.fromarray(rng.integers(0, 256, (12, 16, 3), np.uint8)).resize((500, 375)).save(path)
        return paths

    def jobs(self, levels: tuple[str, ...], documents: int) -> list[Any]:
        """The direct questions of CUB at some levels, as finer_hf gets them."""
        from finer_tasks.datasets.images import open_image
        from finer_tasks.models.jobs import Job
        from finer_tasks.tasks.questions import ask

        def messages(text: str, path: Path, _: Any) -> list[dict[str, Any]]:
            return [{"role": "user", "content": [{"type": "image", "url": open_image(path)}, {"type": "text", "text": text}]}]

        jobs = []
        for level in levels:
            for number, (path, concept) in enumerate(zip(self.images[:documents], cycle(self.concepts), strict=False)):
                labels = {name: list(getattr(concept, name)) for name in ("coarse", "fine")}
                doc = {"id": f"cub/test/{number}", "concept_id": concept.concept_id, "superordinate": "Bird", **labels}
                text, place = ask(doc, "direct", level, "gold"), (f"finer_cub_{level}", "test", number)
                arguments = {"max_new_tokens": self.size.new_tokens, "do_sample": False}
                jobs.append(Job(len(jobs), place, doc, text, partial(messages, text, path), arguments))
        return jobs

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        """Conversations in the LLaVA format: three turns with an image, every fourth in text alone, of unequal lengths."""
        rng = random.Random(0)
        names = [concept.fine[0] for concept in self.concepts]

        def row(number: int) -> dict[str, Any]:
            turns = [("Which group of birds is this?", rng.choice(names)), ("What does it look like?", "")]
            turns = [(question, ", ".join(rng.choices(names, k=rng.randrange(1, 30)))) for question, _ in turns]
            image = None if number % 4 == 3 else self.images[number].name
            values = [text for turn in [*turns, ("Which species is it?", rng.choice(names))] for text in turn]
            values[0] = f"<image>\n{values[0]}" if image else values[0]
            said = [{"from": speaker, "value": value} for speaker, value in zip(cycle(("human", "gpt")), values, strict=False)]
            return {"id": str(number), "image": image, "source": "gpu", "conversations": said}

        return [row(number) for number in range(self.size.rows)]

    @property
    def adapter(self) -> dict[str, Any]:
        return {"rank": self.size.rank, "alpha": 2 * self.size.rank, "dropout": 0.0}

    def batch(self, arm: Arm) -> int:
        """Conversations in a step."""
        return self.size.step * arm.times

    def encoder(self, packing: bool) -> Any:
        """What makes batches of conversations."""
        from finer_tasks.training.tuning.encoding import ConversationEncoder

        return ConversationEncoder(self.processor(), self.images[0].parent, packing)

    @cached_property
    def lengths(self) -> Any:
        """Tokens of each conversation, image tokens included."""
        from finer_tasks.training.tuning.lengths import measure

        return measure(self.rows, self.encoder(packing=False))


def device(run: Run) -> None:
    """What the device can do at most: a product of matrices, a copy."""
    import torch

    side = run.size.matrix
    one, other = (torch.randn(side, side, device=run.device, dtype=run.shape.dtype) for _ in range(2))
    memory = torch.zeros(side * side * 8, dtype=torch.uint8, device=run.device)

    def best(call: Callable[[], Any]) -> float:
        return min(run.timed(call)[1] for _ in range(10))

    run.note(
        memory_gib=round(torch.cuda.mem_get_info()[1] / 2**30, 1) if run.device.type == "cuda" else None,
        matrix=f"{side} x {side} in {run.shape.dtype}",
        tflops=round(2 * side**3 / best(lambda: one @ other) / 1e12, 3),
        copied_gb_per_second=round(2 * memory.numel() / best(memory.clone) / 1e9, 1),
    )


def generation(run: Run) -> None:
    """finer_hf's batches against its requests one at a time, and against lmms-eval's llava_hf, which takes no others."""
    run.generator.branches = False  # nothing is shared: one question a document
    jobs = run.jobs(("fine",), run.size.documents)
    some = jobs[: run.size.apart]
    ways = {
        "finer_hf": (partial(answer, run, jobs, run.size.batch_size), len(jobs)),
        "finer_hf, one at a time": (partial(answer, run, some, 1), len(some)),
        "llava_hf": (partial(as_llava_hf, run, some), len(some)),
    }
    side_by_side(run, ways, of="finer_hf")


def prefix(run: Run) -> None:
    """The three levels of every document with the image's part computed once, against each question by itself."""
    require("transformers")
    jobs = run.jobs(LEVELS, run.size.documents // 2)

    def answered(shares: bool) -> list[str]:
        run.generator.branches = shares
        return answer(run, jobs, run.size.batch_size)

    ways = {"shared": (partial(answered, True), len(jobs)), "each by itself": (partial(answered, False), len(jobs))}
    side_by_side(run, ways, of="shared")
    run.generator.branches = True


def answer(run: Run, jobs: list[Any], batch_size: int) -> list[str]:
    """Replies by the road of finer_hf: batches prepared in background threads, prefixes shared where the generator may."""
    from finer_tasks.models.answering import Answering
    from finer_tasks.models.batching import BatchRunner
    from finer_tasks.models.jobs import grouped

    answering, runner = Answering(run.generator), BatchRunner(batch_size, workers=2)
    for group in grouped(jobs, run.generator.branches):
        for _ in runner.map(group, answering.prepare, answering.answer, lambda job: job.document):
            pass
    return [job.replies[0] for job in jobs]


def as_llava_hf(run: Run, jobs: list[Any]) -> list[str]:
    """Replies by the calls of lmms-eval's chat model llava_hf, one request after the other."""
    import torch

    encoder, model = run.generator.encoder, run.generator.model
    end, replies = encoder.tokenizer.eos_token_id, []
    for job in jobs:
        (turn,) = job.conversation
        inputs = encoder.processor(images=[turn["content"][0]["url"]], text=encoder.render([turn]), return_tensors="pt")
        inputs = inputs.to(run.device, model.dtype)
        with torch.inference_mode():
            ids = model.generate(
                **inputs, do_sample=False, num_beams=1, max_new_tokens=run.size.new_tokens, use_cache=True,
                pad_token_id=end, eos_token_id=end,
            )  # fmt: skip
        replies += encoder.tokenizer.batch_decode(ids[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
    return replies


def side_by_side(run: Run, ways: Mapping[str, tuple[Callable[[], list[str]], int]], of: str) -> None:
    """Samples per second of ways to answer, in turn so that a drifting machine hits all; ratios of the way `of` to each."""
    speeds: dict[str, list[float]] = {name: [] for name in ways}
    replies: dict[str, list[str]] = {}
    for repeat in range(run.size.repeats + 1):  # the first warms up
        for name, (call, count) in ways.items():
            replies[name], seconds = run.timed(call)
            speeds[name] += [count / seconds] if repeat else []
        if run.left < 0 and repeat:
            break
    shared = min(map(len, replies.values()))
    run.note(
        samples={name: count for name, (_, count) in ways.items()},
        samples_per_second={name: round(max(found), 3) for name, found in speeds.items()},
        ratios={name: _ratios(speeds[of], found) for name, found in speeds.items() if name != of},
        equal_replies={
            name: f"{sum(a == b for a, b in zip(found, replies[of], strict=False))} of {shared}"
            for name, found in replies.items()
            if name != of
        },
        new_tokens=run.size.new_tokens,
        batch_size=run.size.batch_size,
    )


def _ratios(ours: list[float], theirs: list[float]) -> list[float]:
    return sorted(round(one / other, 2) for one, other in zip(ours, theirs, strict=False))


def closed_set(run: Run) -> None:
    """All names of CUB for one image as a trie behind one prompt, against some of them each with its whole prompt."""
    require("transformers")
    from finer_tasks.models.closed_set import NameList, score_names
    from finer_tasks.models.likelihood import score_replies
    from finer_tasks.scoring.candidates import Candidates

    names = Candidates.of({concept.concept_id: concept.fine for concept in run.concepts}).names
    encoder, asked = run.generator.encoder, run.jobs(("fine",), 1)[0].conversation
    listed = NameList(encoder, names)
    some = listed.ids[: run.size.apart * 4]

    def together() -> Any:
        return score_names(run.generator, [asked], encoder.encode([asked]), listed)[0]

    def apart() -> list[float]:
        found = []
        for start in range(0, len(some), 8):
            ids = some[start : start + 8]
            scored = score_replies(run.generator, encoder.encode([asked] * len(ids)), ids)
            found += [-mean * (len(one) + 1) for (mean, _), one in zip(scored, ids, strict=True)]
        return found

    times: dict[str, list[float]] = {"together": [], "apart": []}
    for repeat in range(run.size.repeats + 1):
        if len(times["apart"]) and run.left < 0:
            break
        (scores, seconds), (others, seconds_apart) = run.timed(together), run.timed(apart)
        if repeat:
            times["together"].append(seconds / len(names))
            times["apart"].append(seconds_apart / len(some))
    run.note(
        names=len(names),
        names_apart=len(some),
        seconds_for_all_names=round(min(times["together"]) * len(names), 4),
        seconds_for_all_names_apart_scaled=round(min(times["apart"]) * len(names), 3),
        ratios_per_name=_ratios(times["apart"], times["together"]),
        largest_difference=max(abs(float(a) - b) for a, b in zip(scores, others, strict=False)),
    )


@dataclass(frozen=True)
class Arm:
    """A way to train: whose trainer, what is switched on, and how many times the usual conversations a step takes."""

    trainer: str
    packing: bool = False
    checkpointing: bool = False
    compile: bool = False
    liger: bool = False
    fsdp: bool = False
    quantize: str = "none"
    times: int = 1

    def __str__(self) -> str:
        on = [name for name in ("packing", "checkpointing", "compile", "liger", "fsdp") if getattr(self, name)]
        on += [self.quantize] * (self.quantize != "none") + [f"{self.times} times the batch"] * (self.times > 1)
        return ", ".join([self.trainer, *on])


MAIN = (Arm("finer"), Arm("trainer"), Arm("trl"), Arm("finer", packing=True))
ARMS = (
    *MAIN,
    Arm("finer", checkpointing=True),
    Arm("finer", packing=True, checkpointing=True),
    Arm("trainer", checkpointing=True),
    Arm("trl", checkpointing=True),
    Arm("finer", packing=True, checkpointing=True, times=2),
    Arm("trl", packing=True),
    Arm("finer", liger=True),
    Arm("trainer", liger=True),
)


def lora(run: Run) -> None:
    """LoRA steps of finer-tasks' trainer, a plain Trainer and TRL's, with and without what saves work or memory."""
    run.note(settings=settings(run))
    train_all(run, (*ARMS, *MAIN) if run.size.repeats > 1 else ARMS)


def compiled(run: Run) -> None:
    """torch.compile on and off; the first epoch holds the time to compile."""
    train_all(run, (Arm("finer"), Arm("finer", compile=True)))


def sharded(run: Run) -> None:
    """FSDP on one card, which has nobody to share with: that it runs, and what it costs. Beside lora's first arm."""
    os.environ |= {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29577"}
    train_all(run, (Arm("finer", fsdp=True),))


def qlora(run: Run) -> None:
    """Memory of LoRA on weights of 4 bits, with checkpointing on."""
    require("bitsandbytes", "xxhash")
    train_all(run, (Arm("finer", checkpointing=True), Arm("finer", checkpointing=True, quantize="4bit")))


def train_all(run: Run, arms: tuple[Arm, ...]) -> None:
    """Train by each arm, and note its figures; an arm that comes again is measured again, where time is left."""
    found: dict[str, list[dict[str, Any]]] = {}
    states: dict[str, str] = {}
    longest = 0.0
    for arm in arms:
        name, began = str(arm), time.time()
        if run.left < longest:
            states.setdefault(name, "not run: no time is left of this part")
            continue
        figures: dict[str, Any] = {}
        states[name] = outcome(lambda arm=arm, figures=figures: figures.update(train(run, arm)))
        longest = max(longest, time.time() - began)
        found.setdefault(name, []).extend([figures] if figures else [])
        run.note(arms={name: {"state": state, "runs": found.get(name, [])} for name, state in states.items()})
    best = {name: max(one["samples_per_second"] for one in runs) for name, runs in found.items() if runs}
    first = best.get(str(arms[0]))
    run.note(speed_of_the_first_arm_over_each={name: round(first / speed, 2) for name, speed in best.items()} if first else {})
    if failed := [name for name, state in states.items() if state.startswith("failed")]:
        raise RuntimeError(f"not all arms ran: {'; '.join(failed)}")
    if not best:
        raise NotRun(next(iter(states.values())).removeprefix("not run: "))


def train(run: Run, arm: Arm) -> dict[str, Any]:
    """Two epochs over the same conversations, of which the second is measured."""
    from finer_tasks.training.tuning.meter import Cost, peak_flops
    from finer_tasks.training.tuning.modules import attach_adapter, count_parameters, parts_of
    from finer_tasks.training.tuning.precision import keep_in_float32

    if arm.liger:
        require("liger-kernel")
        if run.device.type != "cuda":
            raise NotRun("needs a GPU")
    model = run.quantized() if arm.quantize == "4bit" else run.model()
    parts, text = parts_of(model), model.config.get_text_config()
    model = attach_adapter(model.requires_grad_(False), parts, SimpleNamespace(**run.adapter), "frozen")
    keep_in_float32(model)
    counted = count_parameters(model, parts)
    trainer = TRAINERS[arm.trainer](run, arm, model, parts)
    steps = len(run.rows) // run.batch(arm)
    marks = marked(run, trainer, steps)
    trainer.train()
    loss = final_loss(trainer)
    seconds = marks[2] - marks[1]
    cost = Cost(counted["language"], counted["trained"], text.num_hidden_layers, text.hidden_size)
    flops, peak = cost.flops(int(run.lengths.sum()), int((run.lengths.astype(int) ** 2).sum())), peak_flops()
    return {
        "samples_per_second": round(len(run.rows) / seconds, 3),
        "tokens_per_second": round(int(run.lengths.sum()) / seconds),
        "mfu": round(flops / seconds / peak, 4) if peak else None,
        "peak_gib": run.peak_gib(),
        "data_wait_share": round(sum(trainer.waits[-steps:]) / seconds, 4),
        "first_epoch_seconds": round(marks[1] - marks[0], 1),
        "loss": loss,
        **({"sharded": is_sharded(trainer.model)} if arm.fsdp else {}),
    }


def marked(run: Run, trainer: Any, steps: int) -> list[float]:
    """The times at which training begins and epochs end, when the device has done all of its work."""
    from transformers import TrainerCallback

    marks: list[float] = []

    class Marks(TrainerCallback):
        def on_train_begin(self, *_: Any, **__: Any) -> None:
            marks.append(time.perf_counter())

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if state.global_step % steps == 0:
                run.timed(lambda: None)
                marks.append(time.perf_counter())

    trainer.add_callback(Marks())
    return marks


def final_loss(trainer: Any) -> float:
    """The mean loss of a run; raises ValueError where it is no number, for then the speed means nothing."""
    if hasattr(trainer, "settle"):  # ours reads the losses from the device when it reports
        trainer.settle()
        loss = trainer.progress.mean()
    else:
        loss = float(trainer.state.log_history[-1]["train_loss"])
    if not math.isfinite(loss):
        raise ValueError("the loss is not a number")
    return round(loss, 4)


def is_sharded(model: Any) -> bool:
    """Whether FSDP took the model; accelerate leaves it out without a word on a CPU, which is an error on a GPU alone."""
    found = {type(parameter).__name__ for parameter in model.parameters()} >= {"DTensor"}
    if not found and next(model.parameters()).device.type == "cuda":
        raise RuntimeError("accelerate has not sharded the model")
    return found


def waiting(kind: type) -> type:
    """A trainer that tells how long each step waited for its data, as the host sees it: the device may still be at work."""

    class Waiting(kind):
        waits: list[float] = []  # noqa: RUF012 (a class for each trainer)

        def get_batch_samples(self, *arguments: Any, **named: Any) -> Any:
            started = time.perf_counter()
            found = super().get_batch_samples(*arguments, **named)
            self.waits.append(time.perf_counter() - started)
            return found

    return Waiting


def recipe_of(run: Run, arm: Arm) -> Any:
    """A recipe of `finer train`, without the mixture that a TrainRecipe asks for."""
    return SimpleNamespace(
        model="", mixture=run.folder, output=run.folder / "finer", seed=0, lora=SimpleNamespace(**run.adapter),
        projector="frozen", projector_learning_rate=2e-5, quantize=arm.quantize, attention=None, compile=arm.compile,
        dtype=str(run.shape.dtype).removeprefix("torch."), gradient_checkpointing=arm.checkpointing, epochs=EPOCHS,
        max_steps=None, global_batch_size=run.batch(arm), micro_batch_size=run.batch(arm), learning_rate=2e-4,
        schedule="cosine", warmup_ratio=0.03, weight_decay=0.0, max_grad_norm=1.0, max_length=4096, overlong="error",
        group_by_length=True, packing=arm.packing, loss_on="answers", workers=run.size.workers, save_every=10_000, keep=1,
        log_every=10_000, report_to=(), evaluation=None, trust_remote_code=False, encoder_cache=None, deepspeed=None,
        fsdp=arm.fsdp, method="supervised",
        # Else accelerate looks for layers of CLIP's text model, which LLaVA does not have.
        fsdp_config={"transformer_layer_cls_to_wrap": ["LlamaDecoderLayer"]} if arm.fsdp else None,
    )  # fmt: skip


def finer(run: Run, arm: Arm, model: Any, parts: Any) -> Any:
    """The trainer of `finer train`, with the arguments that a recipe gives it."""
    require("transformers")
    from transformers.trainer_utils import SaveStrategy

    from finer_tasks.training.tuning.arguments import training_arguments
    from finer_tasks.training.tuning.lengths import GroupedOrder
    from finer_tasks.training.tuning.meter import Cost, Meter
    from finer_tasks.training.tuning.modules import use_cache
    from finer_tasks.training.tuning.packing import require_packable
    from finer_tasks.training.tuning.progress import Progress
    from finer_tasks.training.tuning.trainer import FinerTrainer

    recipe = recipe_of(run, arm)
    arguments = training_arguments(recipe)
    arguments.save_strategy, arguments.disable_tqdm = SaveStrategy.NO, True
    arguments.use_liger_kernel, arguments.liger_kernel_config = arm.liger, LIGER
    if arm.compile and run.device.type == "cpu":
        arguments.torch_compile_backend = "eager"  # a compiler of C++ is no part of what is tested
    if arm.packing:
        require_packable(model.config.model_type)
    use_cache(model, False)
    order = GroupedOrder(run.lengths, run.batch(arm), 0, True)
    return waiting(FinerTrainer)(
        recipe, parts, order, Meter(Cost(1, 1, 1, 1)), Progress(), model=model, args=arguments, train_dataset=run.rows,
        data_collator=run.encoder(arm.packing),
    )  # fmt: skip


def plain(run: Run, arm: Arm, model: Any, _: Any) -> Any:
    """transformers' Trainer as it comes, with labels on everything but padding and the image."""
    from transformers import Trainer

    encoder = run.encoder(packing=False)

    def collate(rows: list[Any]) -> dict[str, Any]:
        batch = encoder.encode(rows)
        image = batch["input_ids"] == encoder.tokenizer.image_token_id
        batch["labels"] = batch["input_ids"].masked_fill((batch["attention_mask"] == 0) | image, -100)
        return batch

    return waiting(Trainer)(model, defaults(run, arm), collate, run.rows)


def trl(run: Run, arm: Arm, model: Any, _: Any) -> Any:
    """TRL's SFTTrainer as it comes, on the same conversations as messages with images."""
    require("trl")
    os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"
    from datasets import Dataset, Features, Image, List, Value
    from trl import SFTConfig, SFTTrainer

    def messages(row: Mapping[str, Any]) -> dict[str, Any]:
        turns = [("user" if turn["from"] == "human" else "assistant", turn["value"]) for turn in row["conversations"]]
        said = [{"role": role, "content": text.replace("<image>", "").strip()} for role, text in turns]
        return {"messages": said, "images": [str(run.images[0].parent / row["image"])] if row["image"] else []}

    features = Features({"messages": List({"role": Value("string"), "content": Value("string")}), "images": List(Image())})
    rows = Dataset.from_list(list(map(messages, run.rows)), features=features)
    config = SFTConfig(**{**defaults(run, arm).to_dict(), "max_length": None, "padding_free": arm.packing})
    try:
        return waiting(SFTTrainer)(model, config, train_dataset=rows, processing_class=run.processor())
    except ValueError as error:
        if arm.packing:
            raise NotRun(f"TRL refuses: {error}") from error
        raise


TRAINERS = {"finer": finer, "trainer": plain, "trl": trl}


def defaults(run: Run, arm: Arm) -> Any:
    """Defaults, but for what makes the work the same: batch size, epochs, precision, checkpointing, workers."""
    from transformers import TrainingArguments

    known = TrainingArguments.__dataclass_fields__
    checkpointing = "activation_checkpointing" if "activation_checkpointing" in known else "gradient_checkpointing"
    return TrainingArguments(
        output_dir=str(run.folder / "trainer"),
        per_device_train_batch_size=run.batch(arm),
        num_train_epochs=EPOCHS,
        bf16=run.device.type == "cuda",
        use_cpu=run.device.type == "cpu",
        dataloader_num_workers=run.size.workers,
        use_liger_kernel=arm.liger,
        liger_kernel_config=LIGER,
        save_strategy="no",
        report_to="none",
        remove_unused_columns=False,
        disable_tqdm=True,
        **{checkpointing: arm.checkpointing},
    )


def settings(run: Run) -> dict[str, Any]:
    """What the figures of training are to be read with."""
    from finer_tasks.training.tuning.meter import PEAK_FLOPS, Cost, peak_flops

    return {
        "rows": len(run.rows),
        "tokens_of_a_row": {"least": int(run.lengths.min()), "mean": float(run.lengths.mean()), "most": int(run.lengths.max())},
        "adapter": run.adapter,
        "mfu": f"FLOPs of the language model / seconds / peak. {' '.join((Cost.__doc__ or '').split())}",
        "peak_flops_used": peak_flops(),
        "peak_flops_known": PEAK_FLOPS,
        "data_wait_share": "seconds of the host in the data loader / seconds; the device may still be at work meanwhile",
        "measured": "the second of two epochs; memory is the most of both, the model's weights included",
    }


@dataclass(frozen=True)
class Part:
    """A part of the run: its most seconds at full size, and whether it has a process of its own."""

    measure: Callable[[Run], None]
    seconds: float
    alone: bool = False


PARTS = {
    "device": Part(device, 30),
    "generation": Part(generation, 90),
    "prefix": Part(prefix, 60),
    "closed_set": Part(closed_set, 60),
    "lora": Part(lora, 200),
    "qlora": Part(qlora, 60),
    "compile": Part(compiled, 110),
    "fsdp": Part(sharded, 60, alone=True),
}


if __name__ == "__main__":
    main()
