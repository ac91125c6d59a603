"""`finer` that kills itself after its first checkpoint: python -m tests.training.killed ARGUMENTS."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from finer_tasks.cli.main import main
from finer_tasks.training.tuning.running import RunTrainer

save = RunTrainer._save_checkpoint


def save_and_die(trainer: RunTrainer, *arguments: Any) -> None:
    save(trainer, *arguments)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    RunTrainer._save_checkpoint = save_and_die  # type: ignore[method-assign]
    sys.exit(main(sys.argv[1:]))
