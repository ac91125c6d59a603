"""Runs of the built-in model by finer_hf and by lmms-eval's own wrapper, compared."""

from __future__ import annotations

from pathlib import Path

import pytest

from finer_tasks.backends.comparison import compare_backends
from finer_tasks.backends.tokens import Tokens
from finer_tasks.models import BUILT_IN
from tests.e2e.evaluating import evaluate

pytestmark = pytest.mark.slow
TASKS = ["finer_mini_fine"]


def test_batch_sizes_and_wrappers_give_the_same_answers(mini_data: Path, tmp_path: Path) -> None:
    a = evaluate(TASKS, tmp_path / "a", batch_size=8, limit=16)
    b = evaluate(TASKS, tmp_path / "b", batch_size=1, limit=16)
    (found,) = compare_backends(a, b, reader=Tokens("finer-mini")).tasks
    assert (found.replies, found.verdicts) == (0, 0)
    assert found.settings == {"batch_size": ("8", "1")}
    assert found.unknown == ()
    assert found.margins[0] > 0

    pytest.importorskip("decord")  # which lmms-eval's wrapper imports
    arguments = f"pretrained={BUILT_IN['finer-mini']},device_map=cpu,dtype=float32"
    c = evaluate(TASKS, tmp_path / "c", model="llava_hf", model_args=arguments, batch_size=1, limit=16, device="cpu")
    (other,) = compare_backends(a, c).tasks
    assert other.verdicts == 0
    assert not {"template", "pixels", "decoding"} & set(other.settings)
