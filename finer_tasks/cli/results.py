"""The commands on finished runs: `finer regress`, `baseline`, `submit`, `leaderboard`, `report`, `export`."""

from __future__ import annotations

import argparse
import dataclasses
import os
from pathlib import Path

from finer_tasks.cli.output import out, say


def add_gate(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add both commands to the parser."""
    regress = commands.add_parser("regress", help="the gate for checkpoints: has a candidate become worse than a baseline?")
    regress.add_argument("--baseline", type=Path, required=True, help="a run of lmms-eval, or a file of `finer baseline make`")
    regress.add_argument("--candidate", type=Path, required=True, help="a run of lmms-eval")
    regress.add_argument("--policy", type=Path, help="YAML file: rules by task, alpha, what inconclusive means")
    regress.add_argument("--allow", default="", metavar="NAMES", help="differences to compare across, joined by commas")
    regress.add_argument("--json", type=Path, metavar="FILE")
    regress.add_argument("--junit", type=Path, metavar="FILE")
    regress.add_argument("--markdown", type=Path, metavar="FILE", help="appended to, as $GITHUB_STEP_SUMMARY expects")
    regress.add_argument("--html", type=Path, metavar="FILE", help="the documents that changed, both ways")
    regress.add_argument("--annotations", action="store_true", help="print GitHub annotations (default in GitHub Actions)")
    regress.set_defaults(run=_regress)
    baseline = commands.add_parser("baseline", help="baselines to keep in git")
    actions = baseline.add_subparsers(required=True, metavar="ACTION")
    make = actions.add_parser("make", help="from a run of lmms-eval")
    make.add_argument("results", type=Path, help="the --output_path of the run, or its *_results.json")
    make.add_argument("--output", type=Path, required=True, metavar="FILE", help="for example baseline.json.gz")
    make.add_argument("--allow", default="", metavar="request_failed", help="take requests that were not answered as wrong")
    make.set_defaults(run=_make_baseline)


def _regress(arguments: argparse.Namespace) -> int:
    from finer_tasks.gate import display
    from finer_tasks.gate.flips import write_flips
    from finer_tasks.gate.gate import run_gate
    from finer_tasks.gate.measured import read_measured
    from finer_tasks.gate.policy import read_policy
    from finer_tasks.writing import write_text, writing

    for path in filter(None, (arguments.json, arguments.junit, arguments.markdown, arguments.html)):
        _keep(path, *filter(None, (arguments.baseline, arguments.candidate, arguments.policy)))
    policy = read_policy(arguments.policy)
    policy = dataclasses.replace(policy, allow=(*policy.allow, *_names(arguments.allow)))
    gate = run_gate(read_measured(arguments.baseline), read_measured(arguments.candidate), policy)
    display.print_gate(gate, out)
    for path, text in ((arguments.json, display.as_json), (arguments.junit, display.as_junit)):
        if path:
            write_text(path, text(gate))
    if arguments.markdown:
        with writing(arguments.markdown), arguments.markdown.open("a", encoding="utf-8") as file:
            file.write(display.as_markdown(gate))
    if arguments.html:
        write_flips(gate, arguments.html)
    if arguments.annotations or os.environ.get("GITHUB_ACTIONS") == "true":
        print(display.as_annotations(gate), end="")
    return gate.exit_code


def _add_allow(command: argparse.ArgumentParser) -> None:
    help_text = "reasons for which documents may lack an answer, joined by commas: corrupt_image, request_failed, …"
    command.add_argument("--allow", default="", metavar="REASONS", help=help_text)


def _keep(output: Path, *inputs: Path) -> Path:
    """The output, unless it is one of the command's inputs or a file of lmms-eval; raises OutputError."""
    from finer_tasks.errors import OutputError

    of_a_run = output.name.endswith("_results.json") or ("_samples_" in output.name and output.suffix == ".jsonl")
    if output.exists() and (of_a_run or any(path.exists() and output.samefile(path) for path in inputs)):
        raise OutputError(f"{output} is what the command reads, or a file of lmms-eval, and would be lost. Give another place")
    return output


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _make_baseline(arguments: argparse.Namespace) -> None:
    from finer_tasks.gate.baseline import write_baseline
    from finer_tasks.gate.measured import measured, require_answered
    from finer_tasks.runs.reading import read_run

    found = measured(read_run(arguments.results))
    require_answered(found, found.tasks, _names(arguments.allow))
    write_baseline(found, _keep(arguments.output, arguments.results))
    size = arguments.output.stat().st_size / 1000
    documents = sum(len(task.documents) for task in found.tasks.values())
    say(f"{len(found.tasks)} tasks, {documents} documents, {size:.0f} kB: {arguments.output}")


def add_submit(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `submit` to the parser."""
    submit = commands.add_parser("submit", help="leaderboard submissions: pack, verify")
    actions = submit.add_subparsers(required=True, metavar="ACTION")
    packing = actions.add_parser("pack", help="runs of lmms-eval → one archive")
    packing.add_argument("results", type=Path, nargs="+", help="the --output_path of each run")
    packing.add_argument("--card", type=Path, required=True, metavar="FILE", help="YAML: name, revision, parameters, …")
    packing.add_argument("--output", type=Path, required=True, metavar="FILE", help="for example my-model.zip")
    _add_allow(packing)
    packing.set_defaults(run=_pack)
    verifying = actions.add_parser("verify", help="recompute every score from the answers; needs the datasets prepared")
    verifying.add_argument("archive", type=Path)
    verifying.add_argument("--digest", help="what pack printed, if you have it from the submitter")
    verifying.set_defaults(run=_verify)


def _pack(arguments: argparse.Namespace) -> None:
    from finer_tasks.runs.reading import read_run
    from finer_tasks.submission.pack import pack, read_card

    runs, card = [read_run(folder) for folder in arguments.results], read_card(arguments.card)
    digest = pack(runs, card, _keep(arguments.output, arguments.card), _names(arguments.allow))
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


def add_leaderboard(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `leaderboard` to the parser."""
    leaderboard = commands.add_parser("leaderboard", help="a static site of verified submissions")
    actions = leaderboard.add_subparsers(required=True, metavar="ACTION")
    build = actions.add_parser("build", help="verify all archives of a folder and write the site")
    build.add_argument("submissions", type=Path, help="folder of *.zip")
    build.add_argument("--output", type=Path, required=True, metavar="DIR")
    build.add_argument("--published", type=Path, metavar="FILE", help="YAML rows of figures from papers, shown apart")
    build.set_defaults(run=_build_leaderboard)


def _build_leaderboard(arguments: argparse.Namespace) -> int:
    from finer_tasks.leaderboard.published import read_published
    from finer_tasks.leaderboard.site import build_site

    published = read_published(arguments.published) if arguments.published else []
    shown, refused = build_site(arguments.submissions, arguments.output, published)
    say(f"{len(shown)} submissions, {len(refused)} refused: {arguments.output / 'index.html'}")
    return 1 if refused else 0


def add_report(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `report` to the parser."""
    report = commands.add_parser("report", help="one HTML file of one or several runs, to show and to look through")
    report.add_argument("results", type=Path, nargs="+", help="the --output_path of each run, or its *_results.json")
    report.add_argument("--output", type=Path, required=True, metavar="FILE")
    report.set_defaults(run=_report)


def _report(arguments: argparse.Namespace) -> None:
    from finer_tasks.report.page import write_report
    from finer_tasks.runs.reading import read_run

    write_report([read_run(path) for path in arguments.results], _keep(arguments.output, *arguments.results))
    say(f"written {arguments.output}")


def add_export(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `export` to the parser."""
    export = commands.add_parser("export", help="a run's results in the forms that others read")
    export.add_argument("results", type=Path, help="the --output_path of the run, or its *_results.json")
    export.add_argument("--form", required=True, choices=("model-index", "every-eval-ever", "evalai"))
    export.add_argument("--card", type=Path, required=True, metavar="FILE", help="the card of `finer submit pack`")
    export.add_argument("--output", type=Path, required=True, metavar="DIR")
    _add_allow(export)
    export.set_defaults(run=_export)


def _export(arguments: argparse.Namespace) -> None:
    from finer_tasks.runs.export import export
    from finer_tasks.runs.reading import read_run
    from finer_tasks.submission.pack import read_card

    run, card, allow = read_run(arguments.results), read_card(arguments.card), _names(arguments.allow)
    for path in export(run, card, arguments.form, arguments.output, allow):
        say(f"written {path}")
