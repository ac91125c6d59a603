"""`finer regress` and `finer baseline`."""

from __future__ import annotations

import argparse
import dataclasses
import os
from pathlib import Path

from finer_tasks.cli.options import Commands, add_names, add_output, add_run
from finer_tasks.cli.output import out, say

_PRINTED = Path("-")


def add_gate(commands: Commands) -> None:
    """Add both commands to the parser."""
    regress = commands.add_parser("regress", help="the gate for checkpoints: has a candidate become worse than a baseline?")
    regress.add_argument("--baseline", type=Path, required=True, help="a run of lmms-eval, or a file of `finer baseline make`")
    regress.add_argument("--candidate", type=Path, required=True, help="a run of lmms-eval")
    regress.add_argument("--policy", type=Path, help="YAML file: rules by task, alpha, what inconclusive means")
    add_names(regress, "--allow", "differences to compare across")
    shown = "JSON instead of the table, or beside it in a file"
    regress.add_argument("--json", type=Path, nargs="?", const=_PRINTED, metavar="FILE", help=shown)
    regress.add_argument("--junit", type=Path, metavar="FILE")
    regress.add_argument("--markdown", type=Path, metavar="FILE", help="appended to, as $GITHUB_STEP_SUMMARY expects")
    regress.add_argument("--html", type=Path, metavar="FILE", help="the documents that changed, both ways")
    regress.add_argument("--annotations", action="store_true", help="print GitHub annotations (default in GitHub Actions)")
    regress.set_defaults(run=_regress)
    baseline = commands.add_parser("baseline", help="baselines to keep in git")
    actions = baseline.add_subparsers(required=True, metavar="ACTION")
    make = actions.add_parser("make", help="from a run of lmms-eval")
    add_run(make)
    add_output(make, "FILE", "for example baseline.json.gz")
    add_names(make, "--allow", "request_failed takes requests that were not answered as wrong")
    make.set_defaults(run=_make_baseline)


def _regress(arguments: argparse.Namespace) -> int:
    from finer_tasks.gate import display
    from finer_tasks.gate.flips import write_flips
    from finer_tasks.gate.gate import run_gate
    from finer_tasks.gate.policy import read_policy
    from finer_tasks.gate.reading import read_measured
    from finer_tasks.runs.outputs import not_read
    from finer_tasks.writing import write_text, writing

    printed = arguments.json == _PRINTED
    json_file = None if printed else arguments.json
    for path in filter(None, (json_file, arguments.junit, arguments.markdown, arguments.html)):
        not_read(path, *filter(None, (arguments.baseline, arguments.candidate, arguments.policy)))
    policy = read_policy(arguments.policy)
    policy = dataclasses.replace(policy, allow=(*policy.allow, *arguments.allow))
    gate = run_gate(read_measured(arguments.baseline), read_measured(arguments.candidate), policy)
    if printed:
        print(display.as_json(gate), end="")
    else:
        display.print_gate(gate, out)
    for path, text in ((json_file, display.as_json), (arguments.junit, display.as_junit)):
        if path:
            write_text(path, text(gate))
    if arguments.markdown:
        with writing(arguments.markdown), arguments.markdown.open("a", encoding="utf-8") as file:
            file.write(display.as_markdown(gate))
    if arguments.html:
        write_flips(gate, arguments.html)
    if arguments.annotations or (os.environ.get("GITHUB_ACTIONS") == "true" and not printed):
        print(display.as_annotations(gate), end="")
    return gate.exit_code


def _make_baseline(arguments: argparse.Namespace) -> None:
    from finer_tasks.gate.baseline import write_baseline
    from finer_tasks.gate.measured import measured
    from finer_tasks.runs.allowing import FAILED, check_allowed, require_answered
    from finer_tasks.runs.outputs import not_read
    from finer_tasks.runs.reading import read_run

    found = measured(read_run(arguments.run_folder))
    check_allowed(arguments.allow, [FAILED])
    require_answered(found.tasks.values(), arguments.allow)
    write_baseline(found, not_read(arguments.output, arguments.run_folder))
    size = arguments.output.stat().st_size / 1000
    documents = sum(len(task.documents) for task in found.tasks.values())
    say(f"{len(found.tasks)} tasks, {documents} documents, {size:.0f} kB: {arguments.output}")
