"""`finer submit` and `finer leaderboard`."""

from __future__ import annotations

import argparse
from pathlib import Path

from finer_tasks.cli.options import Commands, add_allow_unanswered, add_output, add_runs
from finer_tasks.cli.output import say


def add_submit(commands: Commands) -> None:
    """Add `submit` to the parser."""
    submit = commands.add_parser("submit", help="leaderboard submissions: pack, verify")
    actions = submit.add_subparsers(required=True, metavar="ACTION")
    packing = actions.add_parser("pack", help="runs of lmms-eval → one archive")
    add_runs(packing)
    packing.add_argument("--card", type=Path, required=True, metavar="FILE", help="YAML: name, revision, parameters, …")
    add_output(packing, "FILE", "for example my-model.zip")
    add_allow_unanswered(packing)
    packing.set_defaults(run=_pack)
    verifying = actions.add_parser("verify", help="recompute every score from the answers; needs the datasets prepared")
    verifying.add_argument("archive", type=Path)
    verifying.add_argument("--digest", help="what pack printed, if you have it from the submitter")
    verifying.set_defaults(run=_verify)


def _pack(arguments: argparse.Namespace) -> None:
    from finer_tasks.runs.card import read_card
    from finer_tasks.runs.outputs import not_read
    from finer_tasks.runs.reading import read_run
    from finer_tasks.submission.pack import pack

    runs, card = [read_run(folder) for folder in arguments.run_folders], read_card(arguments.card)
    digest = pack(runs, card, not_read(arguments.output, arguments.card), arguments.allow)
    say(f"written {arguments.output}")
    say(f"digest {digest}")


def _verify(arguments: argparse.Namespace) -> int:
    from finer_tasks.submission.verify import verify

    found = verify(arguments.archive, arguments.digest)
    card = found.submission.card
    say(f"submission of {card.name!r}, revision {card.revision!r}, digest {found.digest}")
    for name, entry in found.submission.tasks.items():
        counts = [f"{count} x {reason}" for reason, count in entry.unanswered.items()]
        say(f"{name}: {entry.documents} documents, " + ", ".join([*(f"{k} {v:.4f}" for k, v in entry.scores.items()), *counts]))
    for problem in found.problems:
        say(f"does not hold: {problem}")
    say("verified: every score follows from its answer" if found.holds else "not verified")
    return 0 if found.holds else 1


def add_leaderboard(commands: Commands) -> None:
    """Add `leaderboard` to the parser."""
    leaderboard = commands.add_parser("leaderboard", help="a static site of verified submissions")
    actions = leaderboard.add_subparsers(required=True, metavar="ACTION")
    build = actions.add_parser("build", help="verify all archives of a folder and write the site")
    build.add_argument("submissions", type=Path, help="folder of *.zip")
    add_output(build, "DIR")
    build.add_argument("--published", type=Path, metavar="FILE", help="YAML rows of figures from papers, shown apart")
    build.set_defaults(run=_build_leaderboard)


def _build_leaderboard(arguments: argparse.Namespace) -> int:
    from finer_tasks.leaderboard.published import read_published
    from finer_tasks.leaderboard.site import build_site

    published = read_published(arguments.published) if arguments.published else []
    shown, refused = build_site(arguments.submissions, arguments.output, published)
    say(f"{len(shown)} submissions, {len(refused)} refused: {arguments.output / 'index.html'}")
    return 1 if refused else 0
