"""Train the built-in tiny LLaVA, finer-mini, from scratch on the mini train split.

    python -m finer_tasks.training.tiny_llava --output DIR [--seed 0]

Two stages: the vision encoder learns to tell the concepts apart, then encoder, projector and
language model learn together to answer the benchmark's questions in all their variants. Only
the train split is read. The folder it writes loads through AutoModelForImageTextToText and AutoProcessor.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from finer_tasks.errors import exit_code_of
from finer_tasks.training.errors import TrainingError
from finer_tasks.training.tiny_llava.train import train
from finer_tasks.writing import locked


def main() -> int:
    """Run the command; errors are printed as the `finer` command prints them."""
    parser = argparse.ArgumentParser(
        prog=f"python -m {__package__}", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, required=True, help="folder for the model; must not exist")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    try:
        if not 0 <= arguments.seed < 2**32:
            raise TrainingError(f"--seed {arguments.seed}: give a number from 0 to {2**32 - 1}")
        with locked(arguments.output):
            if arguments.output.exists():
                raise TrainingError(f"{arguments.output} exists; give another --output")
            print(json.dumps(train(arguments.output, arguments.seed), indent=2))
    except Exception as error:
        return exit_code_of(error)
    return 0


if __name__ == "__main__":
    sys.exit(main())
