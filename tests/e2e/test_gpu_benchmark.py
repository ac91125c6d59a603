"""benchmarks/gpu.py at a tiny size, on a CPU, where nothing is installed but what it says it needs."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import fields
from importlib import metadata
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from packaging.requirements import Requirement

from finer_tasks.training.tuning.recipe import Lora, TrainRecipe

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "benchmarks/gpu.py"
NEEDED = ("torch", "torchvision", "transformers", "peft", "accelerate", "pydantic", "xxhash")
# Run by Python at its start: modules of other packages, and installed checkouts, are not found.
HIDING = """
import sys
from importlib.machinery import PathFinder

class Bare(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if path is None and name in {hidden!r} else super().find_spec(name, path, target)

kept = [finder for finder in sys.meta_path if not getattr(finder, "__module__", "").startswith("__editable__")]
sys.meta_path = [Bare if finder is PathFinder else finder for finder in kept]
"""


def others() -> set[str]:
    """The modules of installed packages that are no part of what is needed, and not needed by it."""
    waiting, known = list(NEEDED), set()
    while waiting:
        name = _normal(waiting.pop())
        if name in known:
            continue
        known.add(name)
        try:
            wanted = [Requirement(text) for text in metadata.requires(name) or ()]
        except metadata.PackageNotFoundError:  # for another system
            continue
        waiting += [one.name for one in wanted if one.marker is None or one.marker.evaluate({"extra": ""})]
    by_module = metadata.packages_distributions()
    return {module for module, owners in by_module.items() if not known & set(map(_normal, owners))} - {"finer_tasks"}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def run_hiding(hidden: set[str], folder: Path, *options: str) -> tuple[int, dict[str, Any]]:
    (folder / "sitecustomize.py").write_text(HIDING.format(hidden=hidden), encoding="utf-8")
    command = [sys.executable, str(SCRIPT), "--tiny", "--output", str(folder / "gpu.json"), *options]
    environment = os.environ | {"PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert (folder / "gpu.json").is_file(), done.stderr[-3000:]
    found: dict[str, Any] = json.loads((folder / "gpu.json").read_text(encoding="utf-8"))
    print(done.stderr[-3000:])  # shown where the test fails
    return done.returncode, found


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    spec = importlib.util.spec_from_file_location("gpu_benchmark", SCRIPT)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_every_part_runs_with_what_it_needs_alone_or_names_what_it_lacks(benchmark: ModuleType, tmp_path: Path) -> None:
    hidden = others()
    assert {"lmms_eval", "datasets", "loguru", "scipy"} <= hidden
    code, found = run_hiding(hidden, tmp_path, "--budget", "3600")
    parts = found["parts"]
    assert {name: part["state"] for name, part in parts.items() if part["state"] != "measured"} == {
        "qlora": "not run: needs bitsandbytes"
    }
    assert list(parts) == list(benchmark.PARTS)
    assert code == 0
    assert found["hardware"]["processor"]
    assert found["versions"]["torch"] == metadata.version("torch")
    for name in ("generation", "prefix"):  # the ways to answer give the same answers
        for equal in parts[name]["equal_replies"].values():
            same, _, count = equal.partition(" of ")
            assert same == count != "0"
    assert parts["closed_set"]["largest_difference"] < 1e-3
    check_training(parts, benchmark)


def check_training(parts: Mapping[str, Any], benchmark: ModuleType) -> None:
    arms = parts["lora"]["arms"]
    assert set(arms) == set(map(str, benchmark.ARMS))
    lacking = {"trl": "not run: needs trl", "liger": "not run: needs liger-kernel"}
    for name, arm in arms.items():
        allowed = {reason for part, reason in lacking.items() if part in name}
        if "trl" in name:
            allowed.add("not run: needs datasets")  # which TRL itself needs
        if "liger" in name:
            allowed.add("not run: needs a GPU")
        assert arm["state"] in (allowed or {"measured"}), name
    loss = {name: arm["runs"][0]["loss"] for name, arm in arms.items() if arm["runs"]}
    assert loss["finer, packing"] == pytest.approx(loss["finer"], abs=1e-3)
    assert loss["finer, packing, checkpointing"] == pytest.approx(loss["finer"], abs=1e-3)
    compiled = parts["compile"]["arms"]["finer, compile"]["runs"][0]["loss"]
    assert compiled == pytest.approx(loss["finer"], abs=1e-3)
    assert parts["fsdp"]["arms"]["finer, fsdp"]["runs"][0]["loss"] == pytest.approx(loss["finer"], abs=1e-3)


def test_a_process_that_ends_is_told_and_a_run_without_time_measures_nothing(tmp_path: Path) -> None:
    code, found = run_hiding({"torch"}, tmp_path, "--only", "device", "fsdp")
    assert code == 1
    assert set(found["parts"]) == {"device", "fsdp"}
    assert all(part["state"].startswith("failed: its process ended with 1") for part in found["parts"].values())
    (tmp_path / "late").mkdir()
    code, found = run_hiding(set(), tmp_path / "late", "--budget", "0.001")
    assert code == 0
    assert {part["state"] for part in found["parts"].values()} == {"not run: no time is left of 0 seconds"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--tiny", "--budget", "0"], "--budget 0: give the seconds that the run may take"),
        (["--tiny", "--output", "here.json"], "--output here.json is there; give another file"),
        (["--tiny", "--output", "gone/gpu.json"], "--output gone/gpu.json: its folder is not there"),
        pytest.param([], "torch sees no GPU", marks=pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")),
    ],
)
def test_what_cannot_be_measured_is_refused_and_earlier_figures_stay(tmp_path: Path, options: list[str], message: str) -> None:
    (tmp_path / "here.json").write_text("figures")
    done = subprocess.run([sys.executable, str(SCRIPT), *options], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert message in done.stderr
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"here.json": "figures"}


def test_its_recipe_is_one_of_finer_train(benchmark: ModuleType, tmp_path: Path) -> None:
    class Run(SimpleNamespace):
        adapter = {"rank": 4, "alpha": 8, "dropout": 0.0}  # noqa: RUF012

        def batch(self, _: Any) -> int:
            return 2

    run = Run(folder=tmp_path, size=benchmark.TINY, shape=SimpleNamespace(dtype=torch.bfloat16))
    values = vars(benchmark.recipe_of(run, benchmark.Arm("finer", packing=True, fsdp=True)))
    assert set(values) == {field.name for field in fields(TrainRecipe)}
    values["model"], values["lora"] = "m", Lora(**vars(values["lora"]))
    assert TrainRecipe(**values).packing


def test_it_asks_for_the_transformers_that_the_package_asks_for(benchmark: ModuleType) -> None:
    assert f"transformers>={benchmark.TRANSFORMERS},<6" in (ROOT / "setup.cfg").read_text(encoding="utf-8")
