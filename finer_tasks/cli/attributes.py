"""`finer attributes`: import, build, show, check, diff."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from finer_tasks.cli.options import Commands, positive
from finer_tasks.cli.output import out, say
from finer_tasks.datasets.concepts import concepts_of, sibling_groups
from finer_tasks.datasets.registry import READERS, dataset_names
from finer_tasks.errors import USAGE_EXIT_CODE, KnowledgeError
from finer_tasks.text import harmless

if TYPE_CHECKING:
    from finer_tasks.attributes.updating import Update

_OVERWRITE = "replace the knowledge base as a whole, reviewed entries too, instead of merging"


def add_attributes(commands: Commands) -> None:
    """Add the command to the parser."""
    attributes = commands.add_parser("attributes", help="the knowledge base of attributes").add_subparsers(
        required=True, metavar="ACTION"
    )
    writable = [name for name in dataset_names() if name not in READERS or not READERS[name].exact_attributes]
    bring = attributes.add_parser("import", help="from a JSONL knowledge base, the authors' files, or CUB's human attributes")
    bring.add_argument("dataset", choices=writable)
    bring.add_argument("source", type=Path, help="a .jsonl or .json file; for cub also the folder CUB_200_2011")
    bring.add_argument(
        "--required-from", type=float, default=60, help="CUB: percentage of images that makes an attribute required"
    )
    bring.add_argument("--likely-from", type=float, default=30, help="CUB: percentage that makes it likely")
    bring.add_argument("--overwrite", action="store_true", help=_OVERWRITE)
    bring.set_defaults(run=_attributes_import)
    build = attributes.add_parser("build", help="with an encyclopedia and an OpenAI-compatible language model")
    build.add_argument("dataset", choices=writable)
    build.add_argument("--endpoint", required=True, help="base address of the API, ending in /v1")
    build.add_argument("--model", required=True)
    build.add_argument(
        "--encyclopedia", default="https://en.wikipedia.org/w/api.php", help="MediaWiki API; '' to do without articles"
    )
    build.add_argument("--key-variable", default="OPENAI_API_KEY", help="environment variable that holds the key")
    build.add_argument("--workers", type=positive, default=4, help="requests at a time")
    build.add_argument("--limit", type=positive, help="only so many concepts")
    build.add_argument("--price-in", type=float, default=0.0, help="price of a million prompt tokens")
    build.add_argument("--price-out", type=float, default=0.0, help="price of a million reply tokens")
    build.add_argument("--overwrite", action="store_true", help=_OVERWRITE)
    build.set_defaults(run=_attributes_build)
    show = attributes.add_parser("show", help="a concept beside its siblings")
    show.add_argument("dataset", choices=dataset_names())
    show.add_argument("concept")
    show.set_defaults(run=_attributes_show)
    check = attributes.add_parser("check", help="coverage, and attributes that do not discriminate")
    check.add_argument("dataset", choices=dataset_names())
    check.set_defaults(run=_attributes_check)
    diff = attributes.add_parser("diff", help="what differs between two knowledge bases")
    diff.add_argument("one", type=Path)
    diff.add_argument("other", type=Path)
    diff.set_defaults(run=_attributes_diff)


def _attributes_import(arguments: argparse.Namespace) -> None:
    from finer_tasks.attributes.importing import read_source
    from finer_tasks.attributes.knowledge import knowledge_path
    from finer_tasks.attributes.updating import update_knowledge

    name, path = arguments.dataset, knowledge_path(arguments.dataset)
    found = read_source(name, arguments.source, arguments.required_from, arguments.likely_from)
    for note in found.notes:
        say(note)
    if not found.entries:
        raise KnowledgeError(f"{arguments.source} has attributes for no concept of {name}; {path} is unchanged")
    _say_update(update_knowledge(path, name, found.entries, arguments.overwrite), path)


def _say_update(update: Update, path: Path) -> None:
    reviewed = f", {update.reviewed} of them reviewed ones not replaced by unreviewed" if update.reviewed else ""
    say(f"{path}: {update.total} concepts: {update.added} new, {update.replaced} replaced, {update.kept} kept{reviewed}")


def _attributes_build(arguments: argparse.Namespace) -> int:
    import os

    from finer_tasks.attributes.build import ChatEndpoint, build, keep_failures
    from finer_tasks.attributes.compare import shared_attributes
    from finer_tasks.attributes.encyclopedia import Encyclopedia
    from finer_tasks.attributes.knowledge import knowledge_path
    from finer_tasks.attributes.updating import update_knowledge
    from finer_tasks.datasets.prepared import data_dir

    concepts = concepts_of(arguments.dataset).listed[: arguments.limit]
    cache = data_dir() / "attributes" / "cache"
    key = os.environ.get(arguments.key_variable, "").strip()
    endpoint = ChatEndpoint(arguments.endpoint, arguments.model, cache / "replies", key)
    encyclopedia = Encyclopedia(arguments.encyclopedia, cache / "articles") if arguments.encyclopedia else None
    built = build(concepts, endpoint, encyclopedia, arguments.workers)
    path, usage = knowledge_path(arguments.dataset), built.usage
    say(
        f"{len(built.entries)} of {len(concepts)} concepts made; {usage.asked} asked, {usage.cached} from the cache, "
        f"{usage.prompt_tokens} + {usage.completion_tokens} tokens, "
        f"cost {usage.cost(arguments.price_in, arguments.price_out):.4f}"
    )
    kept = keep_failures(built.failures, path.with_suffix(".failures.json"))
    if kept:
        say(f"{len(built.failures)} replies gave no attributes; they are kept in {kept}. The next run asks again")
    _say_update(update_knowledge(path, arguments.dataset, built.entries, arguments.overwrite), path)
    shared = shared_attributes({entry.concept_id: entry for entry in built.entries}, sibling_groups(concepts))
    for coarse, phrases in shared.items():
        say(f"not discriminative, all of {coarse}: {', '.join(phrases)}")
    return USAGE_EXIT_CODE if built.failures else 0


def _attributes_show(arguments: argparse.Namespace) -> None:
    from finer_tasks.attributes.knowledge import load_knowledge

    knowledge, concepts = load_knowledge(arguments.dataset), concepts_of(arguments.dataset)
    chosen = concepts.named(arguments.concept)
    if chosen is None:
        raise KnowledgeError(f"{arguments.concept!r} is no concept of {arguments.dataset}")
    siblings = [concepts.by_id[sibling] for sibling in concepts.siblings_of(chosen.concept_id)]
    table = Table("concept", "required", "likely", "source", title=chosen.coarse[0], show_lines=True)
    for concept in (chosen, *siblings):
        entry = knowledge.concepts.get(concept.concept_id)
        if entry:
            name = Text(harmless(entry.name), style="bold" if concept is chosen else "")
            table.add_row(name, "\n".join(entry.required), "\n".join(entry.likely), entry.provenance.source)
    out.print(table)


def _attributes_check(arguments: argparse.Namespace) -> int:
    from finer_tasks.attributes.compare import check
    from finer_tasks.attributes.knowledge import load_knowledge

    found = check(load_knowledge(arguments.dataset), concepts_of(arguments.dataset))
    lines = [f"{found.covered} of {found.concepts} concepts have attributes"]
    lines += [f"missing: {', '.join(found.missing)}"] if found.missing else []
    lines += [f"without required attributes: {', '.join(found.without_required)}"] if found.without_required else []
    lines += [f"not discriminative, all of {coarse}: {', '.join(p)}" for coarse, p in found.shared_by_all_siblings.items()]
    lines += [f"equal required attributes: {one}, {other}" for one, other in found.indistinguishable]
    for line in lines:
        say(line)
    return USAGE_EXIT_CODE if found.missing else 0


def _attributes_diff(arguments: argparse.Namespace) -> None:
    from finer_tasks.attributes.compare import differences
    from finer_tasks.attributes.knowledge import read_knowledge

    found = differences(*(read_knowledge("", path) for path in (arguments.one, arguments.other)))
    for concept_id, changes in found.items():
        say(concept_id)
        for sign, phrases in changes.items():
            for phrase in phrases:
                say(f"  {sign} {phrase}")
    say(f"{len(found)} concepts differ")
