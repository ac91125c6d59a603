"""What a command writes must not be what it reads."""

from __future__ import annotations

from pathlib import Path

from finer_tasks.errors import OutputError


def not_read(output: Path, *inputs: Path) -> Path:
    """The output, unless it is one of the command's inputs or a file of lmms-eval; raises OutputError."""
    of_a_run = output.name.endswith("_results.json") or ("_samples_" in output.name and output.suffix == ".jsonl")
    if output.exists() and (of_a_run or any(path.exists() and output.samefile(path) for path in inputs)):
        raise OutputError(f"{output} is what the command reads, or a file of lmms-eval, and would be lost. Give another place")
    return output
