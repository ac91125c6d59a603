"""The recipes that come with the package: listing, finding and copying them."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from finer_tasks.training.errors import RecipeError
from finer_tasks.writing import write_text

# By folder of recipes/, the command that takes its recipes.
COMMANDS = {
    "mixture": "finer mixture build",
    "train": "finer train",
    "reproduce": "finer reproduce",
    "ablate": "finer ablate projectors",
}


@dataclass(frozen=True)
class BuiltIn:
    """A recipe that comes with the package, one of its folder's; `what` is the first line of the comment at its head."""

    folder: str
    name: str
    command: str
    what: str
    path: Path


def built_in_recipes() -> list[BuiltIn]:
    """All of them, mixtures first, by name within each folder."""
    root = Path(str(resources.files("finer_tasks.training") / "recipes"))
    return [
        BuiltIn(folder, path.stem, command, path.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# "), path)
        for folder, command in COMMANDS.items()
        for path in sorted((root / folder).glob("*.yaml"), key=lambda path: path.stem)
    ]


def built_in(name: str) -> BuiltIn:
    """The recipe of a name, or of folder/name; raises RecipeError where several have it, naming the nearest if none has."""
    recipes = built_in_recipes()
    found = [recipe for recipe in recipes if name in (recipe.name, f"{recipe.folder}/{recipe.name}")]
    if len(found) == 1:
        return found[0]
    if found:
        raise RecipeError(
            f"{name} is the name of {' and '.join(f'{one.folder}/{one.name}' for one in found)}; give one of them"
        )
    known = [recipe.name for recipe in recipes]
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"they are {', '.join(known)}"
    raise RecipeError(f"no built-in recipe {name}; {hint}")


def copy_recipe(name: str, target: Path | None) -> tuple[BuiltIn, Path]:
    """Copy a recipe to a file that must not exist, or into a folder, by default the current one; returns both ends."""
    recipe = built_in(name)
    path = target or Path()
    path = path / recipe.path.name if path.is_dir() else path
    if path.exists():
        raise RecipeError(f"{path} exists and is not overwritten; give another path")
    write_text(path, recipe.path.read_text(encoding="utf-8"))
    return recipe, path
