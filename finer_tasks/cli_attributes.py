"""`finer attributes`: import, build, show, check, diff."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from rich.table import Table
from rich.text import Text

from finer_tasks.cli_output import out, say
from finer_tasks.datasets.taxonomy import DATASETS, Concept
from finer_tasks.errors import USAGE_EXIT_CODE, KnowledgeError
from finer_tasks.text import harmless


def add_attributes(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    attributes = commands.add_parser("attributes", help="the knowledge base of attributes").add_subparsers(
        required=True, metavar="ACTION"
    )
    bring = attributes.add_parser("import", help="from a JSONL knowledge base, the authors' files, or CUB's human attributes")
    bring.add_argument("dataset", choices=DATASETS)
    bring.add_argument("source", type=Path, help="a .jsonl or .json file; for cub also the folder CUB_200_2011")
    bring.add_argument(
        "--required_from", type=float, default=60, help="CUB: percentage of images that makes an attribute required"
    )
    bring.add_argument("--likely_from", type=float, default=30, help="CUB: percentage that makes it likely")
    bring.set_defaults(run=_attributes_import)
    build = attributes.add_parser("build", help="with an encyclopedia and an OpenAI-compatible language model")
    build.add_argument("dataset", choices=DATASETS)
    build.add_argument("--endpoint", required=True, help="base address of the API, ending in /v1")
    build.add_argument("--model", required=True)
    build.add_argument(
        "--encyclopedia", default="https://en.wikipedia.org/w/api.php", help="MediaWiki API; '' to do without articles"
    )
    build.add_argument("--key_variable", default="OPENAI_API_KEY", help="environment variable that holds the key")
    build.add_argument("--workers", type=int, default=4, help="requests at a time")
    build.add_argument("--limit", type=int, help="only so many concepts")
    build.add_argument("--price_in", type=float, default=0.0, help="price of a million prompt tokens")
    build.add_argument("--price_out", type=float, default=0.0, help="price of a million reply tokens")
    build.set_defaults(run=_attributes_build)
    show = attributes.add_parser("show", help="a concept beside its siblings")
    show.add_argument("dataset", choices=DATASETS)
    show.add_argument("concept")
    show.set_defaults(run=_attributes_show)
    check = attributes.add_parser("check", help="coverage, and attributes that do not discriminate")
    check.add_argument("dataset", choices=DATASETS)
    check.set_defaults(run=_attributes_check)
    diff = attributes.add_parser("diff", help="what differs between two knowledge bases")
    diff.add_argument("one", type=Path)
    diff.add_argument("other", type=Path)
    diff.set_defaults(run=_attributes_diff)


def _attributes_import(arguments: argparse.Namespace) -> None:
    from finer_tasks.attributes.authors import read_authors
    from finer_tasks.attributes.cub_human import read_cub_human
    from finer_tasks.attributes.knowledge import knowledge_path, read_knowledge, write_knowledge

    name, source = arguments.dataset, arguments.source
    unknown: list[str] = []
    if source.is_dir():
        if name != "cub":
            raise KnowledgeError(f"{source} is a folder; only the human attributes of cub are read from one")
        entries = read_cub_human(source, arguments.required_from, arguments.likely_from)
    elif source.suffix == ".jsonl":
        entries = list(read_knowledge(name, source).concepts.values())
    else:
        entries, unknown = read_authors(source, dataset_concepts(name))
    write_knowledge(knowledge_path(name), entries)
    say(f"{len(entries)} concepts written to {knowledge_path(name)}")
    if unknown:
        say(f"{len(unknown)} names match no concept of {name}: {', '.join(unknown[:10])}")


def _attributes_build(arguments: argparse.Namespace) -> int:
    import os

    from finer_tasks.attributes.build import ChatEndpoint, build
    from finer_tasks.attributes.compare import shared_attributes, sibling_groups
    from finer_tasks.attributes.encyclopedia import Encyclopedia
    from finer_tasks.attributes.knowledge import knowledge_path, write_knowledge
    from finer_tasks.datasets.prepared import data_dir

    concepts = dataset_concepts(arguments.dataset)[: arguments.limit]
    cache = data_dir() / "attributes" / "cache"
    key = os.environ.get(arguments.key_variable, "")
    endpoint = ChatEndpoint(arguments.endpoint, arguments.model, cache / "replies", key)
    encyclopedia = Encyclopedia(arguments.encyclopedia, cache / "articles") if arguments.encyclopedia else None
    built = build(concepts, endpoint, encyclopedia, arguments.workers)
    path = knowledge_path(arguments.dataset)
    write_knowledge(path, built.entries)
    usage = built.usage
    say(
        f"{len(built.entries)} of {len(concepts)} concepts written to {path}; "
        f"{usage.asked} asked, {usage.cached} from the cache, "
        f"{usage.prompt_tokens} + {usage.completion_tokens} tokens, "
        f"cost {usage.cost(arguments.price_in, arguments.price_out):.4f}"
    )
    shared = shared_attributes({entry.concept_id: entry for entry in built.entries}, sibling_groups(concepts))
    for coarse, phrases in shared.items():
        say(f"not discriminative, all of {coarse}: {', '.join(phrases)}")
    if built.failures:
        kept = path.with_suffix(".failures.json")
        kept.write_text(json.dumps(built.failures, indent=2, ensure_ascii=False), encoding="utf-8")
        say(f"{len(built.failures)} replies were no lists; they are kept in {kept}")
        return 1
    return 0


def _attributes_show(arguments: argparse.Namespace) -> None:
    from finer_tasks.attributes.knowledge import load_knowledge
    from finer_tasks.datasets.taxonomy import slug

    knowledge, concepts = load_knowledge(arguments.dataset), dataset_concepts(arguments.dataset)
    wanted = slug(arguments.concept)
    chosen = next((c for c in concepts if c.concept_id == wanted or wanted in {slug(n) for n in (*c.fine, *c.aliases)}), None)
    if chosen is None:
        raise KnowledgeError(f"{arguments.concept!r} is no concept of {arguments.dataset}")
    siblings = [c for c in concepts if c.coarse[0] == chosen.coarse[0] and c.concept_id != chosen.concept_id]
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

    found = check(load_knowledge(arguments.dataset), dataset_concepts(arguments.dataset))
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


def dataset_concepts(name: str) -> list[Concept]:
    """The concepts of a dataset as prepared, else as in its taxonomy."""
    from finer_tasks.datasets.prepared import load_prepared
    from finer_tasks.datasets.taxonomy import load_taxonomy
    from finer_tasks.errors import NotPreparedError

    try:
        return load_prepared(name).concepts()
    except NotPreparedError:
        concepts = list({c.concept_id: c for c in load_taxonomy(name).classes.values()}.values())
        if not concepts:
            raise
        return concepts
