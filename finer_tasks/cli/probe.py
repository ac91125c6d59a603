"""`finer probe`."""

from __future__ import annotations

import argparse

from finer_tasks.cli.options import Commands, add_filter, add_loading, add_output, loading, natural, positive
from finer_tasks.cli.output import out


def add_probe(commands: Commands) -> None:
    """Add the command to the parser."""
    probe = commands.add_parser("probe", help="what can be told of a concept along the path of its image through a model")
    add_loading(probe, "folder, hub name or finer-mini", required=True)
    probe.add_argument("--dataset", required=True)
    add_output(probe, "DIR", "results, and features with which a later call goes on")
    points = "encoder.<layer>, encoder.used, projector, language.<layer>, each with or without its pooling"
    add_filter(probe, "--points", points)
    add_filter(probe, "--pooling", "mean, cls, last, attention (default: all but attention)")
    add_filter(probe, "--levels", "superordinate, coarse, fine")
    add_filter(probe, "--probes", "linear, mlp, neighbour")
    probe.add_argument("--per-concept", type=positive, metavar="N", help="fit on so many images of each concept (default: all)")
    probe.add_argument("--limit", type=positive, help="test on only so many documents")
    probe.add_argument("--batch-size", default="auto")
    probe.add_argument("--seed", type=natural, default=0)
    probe.add_argument("--json", action="store_true")
    probe.set_defaults(run=_probe)


def _probe(arguments: argparse.Namespace) -> None:
    from finer_tasks.probe.display import print_probe
    from finer_tasks.probe.running import Wanted, run_probe
    from finer_tasks.writing import as_json

    wanted = Wanted(
        arguments.dataset, arguments.points, arguments.pooling, arguments.levels, arguments.probes, arguments.per_concept,
        arguments.limit, arguments.batch_size, arguments.seed,
    )  # fmt: skip
    summary = run_probe(loading(arguments), wanted, arguments.output)
    if summary is None:
        return
    if arguments.json:
        print(as_json(summary.model_dump(mode="json")))
    else:
        print_probe(summary, out)
