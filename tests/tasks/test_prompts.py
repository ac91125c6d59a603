from __future__ import annotations

from pathlib import Path

import pytest

from finer_tasks.datasets.registry import DATASETS
from finer_tasks.datasets.taxonomy import load_taxonomy
from finer_tasks.errors import PromptError
from finer_tasks.tasks.prompts import Blanks, active_prompt_set, load_prompt_set, prompt_set_for

GOOD = 'name: mine\ndirect:\n  superordinate: "S {{ choices|length }}"\n  coarse: "C {{ parent }}"\n  fine: "F {{ parent }}"\n'


@pytest.mark.parametrize("dataset", DATASETS)
def test_default_questions_ask_for_the_marker_and_offer_closed_choices(dataset: str) -> None:
    prompts, taxonomy = active_prompt_set(), load_taxonomy(dataset)
    for level in ("superordinate", "coarse", "fine"):
        assert '"Answer:"' in prompts.question("direct", level, taxonomy, Blanks("Albatross"))
    top = prompts.question("direct", "superordinate", taxonomy, Blanks(None))
    assert all(choice in top for choice in taxonomy.superordinate_choices)
    coarse = prompts.question("direct", "coarse", taxonomy, Blanks("Thing"))
    assert all(choice in coarse for choice in taxonomy.coarse_choices)


def test_the_parent_is_named_or_left_out() -> None:
    prompts, taxonomy = active_prompt_set(), load_taxonomy("cub")
    assert '"Albatross"' in prompts.question("direct", "fine", taxonomy, Blanks("Albatross"))
    assert "Albatross" not in prompts.question("direct", "fine", taxonomy, Blanks(None))


def test_a_set_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(GOOD)
    monkeypatch.setenv("FINER_PROMPTS", str(path))
    prompts = active_prompt_set()
    assert prompts.name == "mine"
    assert prompts.hash != load_prompt_set("finer-1").hash
    assert prompts.question("direct", "superordinate", load_taxonomy("cub"), Blanks(None)) == "S 4"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("direct: {}", "needs a text field 'name'"),
        ("name: x\ndirect: {coarse: a}", "exactly one template for each of superordinate, coarse, fine"),
        ('name: " "', "needs a text field 'name'"),
        (GOOD + "cot: text", "'cot' must map levels to templates"),
        (GOOD + "cot: {fine: 7}", "'cot', 'fine': not a template that can be used"),
        (GOOD.replace("{{ parent }}", "{{ parnet }}"), "'direct', 'coarse': .*parnet"),
        (GOOD.replace("{{ parent }}", "{% if %}"), "not a template that can be used"),
        (GOOD.replace("{{ parent }}", "{{ 1 // 0 }}"), "cannot be filled in: ZeroDivisionError"),
        (GOOD.replace("{{ parent }}", "{{ parent.x() }}"), "cannot be filled in: UndefinedError"),
        (GOOD.replace("{{ parent }}", "{{ cycler.__init__.__globals__.os.getcwd() }}"), "cannot be filled in: SecurityError"),
        (GOOD.replace("{{ parent }}", "{{ parents.__class__.__mro__ }}"), "cannot be filled in: SecurityError"),
        (GOOD.replace("choices|length", "choices.clear()"), "cannot be filled in: SecurityError"),
        (GOOD.replace("{{ parent }}", "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}"), "RecursionError"),
        (GOOD.replace("F {{ parent }}", "{% if false %}x{% endif %}"), "'direct', 'fine': the template asks nothing"),
        (GOOD.replace("F {{ parent }}", r"\uD800"), "cannot be filled in: UnicodeEncodeError"),
        (GOOD.replace("{{ parent }}", "{{ ['a', 'b']|random }}"), "No filter named 'random'"),
        ("name: [", "yaml:1: not valid YAML"),
        ("[" * 5000, "nested too deeply"),
        (GOOD + "direct: {}", "yaml:6: key 'direct' is given twice"),
        ("name: caf\xe9".encode("latin-1"), "yaml:1: not UTF-8 text"),
    ],
)
def test_a_broken_set_is_explained(tmp_path: Path, text: str | bytes, message: str) -> None:
    path = tmp_path / "broken.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(PromptError, match=message):
        load_prompt_set(str(path))


def test_an_absent_set_is_named() -> None:
    with pytest.raises(PromptError, match=r"prompt set 'nowhere' .FINER_PROMPTS. cannot be read"):
        load_prompt_set("nowhere")


def test_a_template_that_a_task_needs_is_missed_before_the_run(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(GOOD)
    prompts = load_prompt_set(str(path))
    prompts.require("direct", "fine")
    with pytest.raises(PromptError, match="'mine' has no template 'attrseek_seek' for level 'fine', which this task needs"):
        prompts.require("attrseek", "fine")


def test_sets_of_another_detail_are_the_default_with_another_first_turn() -> None:
    plain, taxonomy, blanks = load_prompt_set("finer-1"), load_taxonomy("cub"), Blanks("Albatross", ("Bird",))
    sets = [load_prompt_set(f"finer-1-{detail}") for detail in ("basic", "detailed", "hyper")]
    assert len({plain.hash, *(one.hash for one in sets)}) == 4
    for one in sets:
        for variant, level in (("direct", "fine"), ("attrseek_answer", "fine"), ("cot", "coarse")):
            assert one.question(variant, level, taxonomy, blanks) == plain.question(variant, level, taxonomy, blanks)
    asked = {one.question("attrseek_seek", "fine", taxonomy, blanks) for one in (plain, *sets)}
    assert len(asked) == 4


def test_a_set_that_starts_from_another_changes_with_it(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("name: mine\nextends: finer-1\ncot: {fine: Think}\n")
    prompts = load_prompt_set(str(path))
    assert prompts.question("cot", "fine", load_taxonomy("cub"), Blanks(None)) == "Think"
    with pytest.raises(PromptError, match="no template 'cot' for level 'coarse'"):
        prompts.require("cot", "coarse")
    path.with_name("other.yaml").write_text(path.read_text().replace("finer-1", "finer-1-basic"))
    other = load_prompt_set(str(path.with_name("other.yaml")))
    assert other.hash != prompts.hash
    path.with_name("none.yaml").write_text("name: mine\nextends: mine.yaml\n")
    with pytest.raises(PromptError, match=r"'extends' must name a set of finer-tasks.*found 'mine.yaml'"):
        load_prompt_set(str(path.with_name("none.yaml")))


def test_what_the_set_in_use_lacks_is_asked_by_the_companion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    companion = prompt_set_for("abstain", "fine")
    assert (companion.name, prompt_set_for("direct", "fine").name) == ("questions-1", "finer-1")
    path = tmp_path / "mine.yaml"
    path.write_text(GOOD + "abstain: {fine: Name it or decline}\n")
    monkeypatch.setenv("FINER_PROMPTS", str(path))
    assert [prompt_set_for("abstain", level).name for level in ("fine", "coarse")] == ["mine", "questions-1"]
    with pytest.raises(PromptError, match="'mine' has no template 'cot'"):
        prompt_set_for("cot", "fine").require("cot", "fine")
    monkeypatch.setenv("FINER_PROMPTS", "questions-1")
    with pytest.raises(PromptError, match="questions-1: 'direct' needs exactly one template"):
        prompt_set_for("abstain", "fine")
