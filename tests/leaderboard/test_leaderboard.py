"""The leaderboard: ranks and ties, what is refused, and the pages in a browser."""

from __future__ import annotations

import dataclasses
import itertools
import json
import re
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from finer_tasks.cli.main import main
from finer_tasks.errors import ResultsError
from finer_tasks.leaderboard.published import read_published
from finer_tasks.leaderboard.standings import better_pairs, boards
from finer_tasks.runs.card import read_card
from finer_tasks.runs.reading import read_run
from finer_tasks.statistics.clusters import Clusters
from finer_tasks.submission.archive import read_archive, write_archive
from finer_tasks.submission.pack import pack
from finer_tasks.submission.verify import verify
from tests.browser import chromium
from tests.simulated import sizes_of
from tests.submission.edits import changed, in_lines, in_submission
from tests.submission.made import write_card, write_submission, write_whole_run

EVIL = "<img src=x onerror=alert(1)>\"'&"


@pytest.fixture(autouse=True)
def _same_data(shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINER_DATA_DIR", str(shared_data))


@pytest.fixture(scope="module")
def archives(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("board")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FINER_DATA_DIR", str(shared_data))
        write_submission(folder, "Strong", 0.9, 0)
        write_submission(folder, f"Middle {EVIL}", 0.6, 1, weights="closed", parameters=70.0)
        write_submission(folder, "Middle too", 0.6, 2, parameters=13.0)
        write_submission(folder, "Weak", 0.2, 3)
    return folder / "archives"


@pytest.fixture(scope="module")
def site(archives: Path, shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    published = tmp_path_factory.mktemp("published") / "p.yaml"
    published.write_text("- {name: Paper, source: 'Somebody 2024, table 1', scores: {overall: 0.95}}\n")
    output = tmp_path_factory.mktemp("site") / "s"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FINER_DATA_DIR", str(shared_data))
        assert main(["leaderboard", "build", str(archives), "--output", str(output), "--published", str(published)]) == 0
    return output


def test_equal_models_share_a_range_of_ranks_and_unequal_ones_do_not(archives: Path) -> None:
    found = {board.name: board for board in boards([verify(path) for path in sorted(archives.glob("*.zip"))])}
    overall = found["overall"]
    assert overall.tasks == ("finer_mini_coarse", "finer_mini_fine", "finer_mini_superordinate")
    ranks = [(standing.best, standing.worst) for standing in overall.standings]
    assert ranks == [(1, 1), (2, 3), (2, 3), (4, 4)]
    strong = overall.standings[0]
    assert strong.interval.value == pytest.approx(strong.scores["em"])
    assert strong.interval.low < strong.interval.value < strong.interval.high
    assert set(found) >= {"dataset: mini", "level: fine", "finer_mini_coarse"}


def test_a_model_is_better_by_many_concepts_and_not_by_one_large_one() -> None:
    names = np.repeat([str(number) for number in range(40)], sizes_of("one big", 40, 800))
    plain = np.random.default_rng(0).uniform(0.2, 0.6, len(names)) / len(names)
    scores = {"plain": plain, "one": plain + (names == "0") * 0.3 / len(names), "many": plain + 0.05 / len(names)}
    assert better_pairs(scores, Clusters.of(list(names))) == {("many", "plain")}


def test_attribute_lists_are_verified_and_ranked_by_their_f1(tmp_path: Path) -> None:
    card = read_card(write_card(tmp_path / "card.yaml"))
    for name, share in (("a", 0.9), ("b", 0.3)):
        run = write_whole_run(tmp_path / name, share, tasks=("finer_mini_attributes_text",), model=name)
        pack([read_run(run)], card, tmp_path / "archives" / f"{name}.zip")
    found = [verify(path) for path in sorted((tmp_path / "archives").glob("*.zip"))]
    assert all(one.holds for one in found)
    (board,) = boards(found)
    assert (board.name, board.metric) == ("finer_mini_attributes_text", "attr_f1")
    assert [standing.submission.path.name for standing in board.standings] == ["a.zip", "b.zip"]
    assert main(["leaderboard", "build", str(tmp_path / "archives"), "--output", str(tmp_path / "site")]) == 0
    assert "attr_f1" in (tmp_path / "site/index.html").read_text()


def test_a_changed_submission_is_named_and_not_shown(
    archives: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "a"
    folder.mkdir()
    good = sorted(archives.glob("*.zip"))[0]
    (folder / "good.zip").write_bytes(good.read_bytes())
    (folder / "copy.zip").write_bytes(good.read_bytes())
    (folder / "broken.zip").write_bytes(good.read_bytes()[:-50])
    members, _ = read_archive(good)
    raw = json.loads(members["submission.json"])
    raw["tasks"]["finer_mini_fine"]["scores"]["em"] = 1.0
    write_archive(folder / "forged.zip", members | {"submission.json": json.dumps(raw).encode()})
    assert main(["leaderboard", "build", str(folder), "--output", str(tmp_path / "site")]) == 1
    assert "1 submissions, 3 refused" in capsys.readouterr().out
    page = (tmp_path / "site/index.html").read_text()
    assert "3 archives are not shown" in page
    assert "forged.zip: finer_mini_fine: the means are not those of the documents" in page


def test_attributes_other_than_the_official_ones_do_not_verify(tmp_path: Path) -> None:
    run = write_whole_run(tmp_path / "run", 0.5, tasks=("finer_mini_attributes_text",))
    pack([read_run(run)], read_card(write_card(tmp_path / "card.yaml")), tmp_path / "a.zip")
    assert verify(tmp_path / "a.zip").holds
    edit = in_submission(lambda raw: raw["tasks"]["finer_mini_attributes_text"]["identity"].update(attributes_fingerprint="x"))
    (problem,) = verify(changed(tmp_path / "a.zip", tmp_path / "b.zip", edit)).problems
    assert "attributes_fingerprint is 'x', official is" in problem


def test_one_set_of_answers_is_shown_once_whatever_it_is_called(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, card = tmp_path / "a", tmp_path / "card.yaml"
    run = read_run(write_whole_run(tmp_path / "run", 0.6, corrupt=2))
    fine = dataclasses.replace(run, tasks=tuple(task for task in run.tasks if task.name == "finer_mini_fine"))
    for name, some in (("1", fine), ("2", run), ("3", run)):
        pack([some], read_card(write_card(card, f"Model {name}")), folder / f"{name}.zip", ["corrupt_image"])

    def louder(lines: list[dict[str, Any]]) -> None:
        for line in lines:
            line["outputs"] = [f" {text.replace('something', 'SOMETHING')} " for text in line["outputs"]]

    changed(folder / "1.zip", folder / "4.zip", in_lines(louder))
    assert verify(folder / "4.zip").holds
    write_submission(tmp_path, "Other", 0.6, 1)
    (tmp_path / "archives/1-0.6.zip").rename(folder / "5.zip")
    assert main(["leaderboard", "build", str(folder), "--output", str(tmp_path / "site")]) == 1
    assert "2 submissions, 3 refused" in capsys.readouterr().out
    page = (tmp_path / "site/index.html").read_text()
    assert "4.zip: the same answers are there as 2.zip" in page
    assert "Model 2</bdi>" in page
    assert "Model 1</bdi>" not in page
    assert "6 documents without an answer, counted as wrong: corrupt_image" in page


def test_one_hostile_archive_is_refused_alone(archives: Path, tmp_path: Path) -> None:
    folder = tmp_path / "a"
    folder.mkdir()
    (folder / "good.zip").write_bytes(sorted(archives.glob("*.zip"))[0].read_bytes())
    with zipfile.ZipFile(folder / "evil\x1b\u202e.zip", "w", zipfile.ZIP_LZMA) as made:
        made.writestr("manifest.json", "{}")
    (folder / "folder.zip").mkdir()
    assert main(["leaderboard", "build", str(folder), "--output", str(tmp_path / "site")]) == 1
    page = (tmp_path / "site/index.html").read_text()
    assert "1 verified submissions" in page
    assert r"evil\x1b\u202e.zip: " in page
    assert "folder.zip is no file" in page


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "- {name: A, source: b, scores: {overal: 0.5}}",
            "A: 'overal' is no board; give a task of `finer tasks`, or one of overall",
        ),
        ("- {name: A, source: b, scores: {finer_cub_fien: 0.5}}", "'finer_cub_fien' is no board"),
        ("- {name: A, source: b, scores: {overall: 50}}", "A, overall: 50.0 is not between 0 and 1"),
        ("- {name: A, source: b, scores: {overall: .nan}}", "is not between 0 and 1"),
        ("- {name: A, scores: {overall: 0.5}}", "0.source: Field required"),
        ("", "the whole: Input should be a valid list"),
        ("[", "not valid YAML"),
    ],
)
def test_a_mistake_in_published_rows_is_named(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(text)
    with pytest.raises(ResultsError, match=re.escape(message)):
        read_published(tmp_path / "p.yaml")


def test_boards_that_nobody_has_entered_are_known_to_published_rows(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("- {name: A, source: b, scores: {'dataset: inat': 0.5, finer_cub_fine_cot: 0.1}}")
    assert len(read_published(tmp_path / "p.yaml")) == 1


def test_a_folder_that_is_no_site_is_left_alone(archives: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.tex").write_text("x")
    assert main(["leaderboard", "build", str(archives), "--output", str(tmp_path / "mine")]) == 2
    assert "thesis.tex is no part of a leaderboard of ours" in capsys.readouterr().err
    assert main(["leaderboard", "build", str(archives), "--output", str(tmp_path / "mine/thesis.tex")]) == 2
    assert (tmp_path / "mine/thesis.tex").read_text() == "x"
    assert main(["leaderboard", "build", str(tmp_path), "--output", str(tmp_path / "new")]) == 2


def names(browser: Any) -> list[str]:
    script = "return [...document.querySelectorAll('section.board:not([hidden]) tbody tr[data-name]:not([hidden])')].map(r => r.cells[1].innerText)"
    return list(browser.execute_script(script))


def test_the_site_works_from_a_folder_by_mouse_and_by_keyboard(site: Path) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.ui import Select

    with chromium() as browser:
        browser.get((site / "index.html").as_uri())
        assert [name.split()[0] for name in names(browser)] == ["Strong", "Middle", "Middle", "Weak"]
        browser.find_element(By.ID, "search").send_keys("middle")
        assert len(names(browser)) == 2
        assert browser.find_element(By.ID, "status").text == "2 of 4 ranked submissions shown"
        browser.find_element(By.ID, "largest").send_keys("20")
        assert names(browser) == ["Middle too"]
        for field in ("search", "largest"):
            browser.find_element(By.ID, field).send_keys(Keys.CONTROL, "a", Keys.DELETE)
        Select(browser.find_element(By.ID, "weights")).select_by_visible_text("closed")
        assert len(names(browser)) == 1
        Select(browser.find_element(By.ID, "weights")).select_by_visible_text("all")
        header = browser.find_element(By.CSS_SELECTOR, "section.board:not([hidden]) th:nth-child(8) button")
        header.send_keys(Keys.ENTER)
        assert names(browser)[0].startswith("Middle <img")
        header.send_keys(Keys.SPACE)
        assert names(browser)[-1].startswith("Middle <img")
        Select(browser.find_element(By.ID, "board")).select_by_visible_text("level: fine")
        assert browser.find_element(By.CSS_SELECTOR, "section.board:not([hidden]) h2").text == "level: fine"
        browser.refresh()
        assert browser.find_element(By.CSS_SELECTOR, "section.board:not([hidden]) h2").text == "level: fine"
        browser.find_element(By.LINK_TEXT, "Strong").click()
        assert browser.find_element(By.TAG_NAME, "h1").text == "Strong"
        browser.find_element(By.PARTIAL_LINK_TEXT, "all submissions").click()
        assert not [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]


def test_untrusted_text_is_shown_as_text_and_published_rows_are_never_ranked(site: Path) -> None:
    from selenium.webdriver.common.by import By

    with chromium() as browser:
        browser.get((site / "index.html").as_uri())
        assert f"Middle {EVIL}" in names(browser)
        assert not browser.find_elements(By.CSS_SELECTOR, "img")
        row = browser.find_element(By.CSS_SELECTOR, "section.board:not([hidden]) tr.published")
        assert row.text.startswith("as published Paper (Somebody 2024, table 1)")
        browser.find_element(By.CSS_SELECTOR, "section.board:not([hidden]) th:nth-child(3) button").click()
        rows = browser.find_elements(By.CSS_SELECTOR, "section.board:not([hidden]) tbody tr")
        assert "published" in str(rows[-1].get_attribute("class"))


def test_a_phone_in_the_dark_shows_all_without_scrolling_sideways(site: Path) -> None:
    with chromium(width=500, dark=True) as browser:  # no narrower window in headless Chromium
        for page in sorted(site.glob("*.html")):
            browser.get(page.as_uri())
            wide = browser.execute_script("return document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert wide <= 0, page.name
            background = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
            assert background == "rgb(20, 24, 31)"


def test_what_others_put_into_a_site_is_not_replaced_with_it(archives: Path, tmp_path: Path) -> None:
    """Archives beside the pages that were made of them, for example."""
    site = tmp_path / "site"
    command = ["leaderboard", "build", str(archives), "--output", str(site)]
    assert [main(command), main(command)] == [0, 0]
    shutil.copytree(archives, site / "archives")
    assert main(["leaderboard", "build", str(site / "archives"), "--output", str(site)]) == 2
    assert sorted((site / "archives").iterdir())


def test_who_is_better_is_tested_over_concepts_of_any_size() -> None:
    """Three models on ten concepts of 1 to 10 documents; the sign flips go through all 1,024 signs."""
    rng, sizes = np.random.default_rng(0), range(1, 11)
    clusters = Clusters.of([str(concept) for concept, size in enumerate(sizes) for _ in range(size)])
    low = rng.uniform(0.1, 0.6, 55)
    models = {"low": low, "high": low + rng.uniform(0.1, 0.3, 55), "like low": low + rng.normal(0, 0.1, 55)}
    assert better_pairs(models, clusters) == {("high", "low"), ("high", "like low")}
    values = []
    for one, other in itertools.combinations(models, 2):
        sums = [float(sum((models[one] - models[other])[clusters.index == c])) for c in range(10)]
        flipped = [sum(s * v for s, v in zip(signs, sums, strict=True)) for signs in itertools.product((1, -1), repeat=10)]
        values.append(np.mean([abs(total) >= abs(sum(sums)) - 1e-9 for total in flipped]))
    assert [value * 3 <= 0.05 for value in values] == [True, False, True]
