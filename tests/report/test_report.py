"""The report: its figures, and the page in a browser."""

from __future__ import annotations

import base64
import dataclasses
import io
import json
import re
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from finer_tasks.cli.main import main
from finer_tasks.datasets.prepare import Request, prepare
from finer_tasks.datasets.registry import get_reader
from finer_tasks.report.figures import confusion, dataset_reports
from finer_tasks.report.page import heat_map
from finer_tasks.runs.reading import read_run
from finer_tasks.runs.samples import Sample
from finer_tasks.submission.scoring import documents_of
from tests import official
from tests.browser import chromium
from tests.simulated import write_run
from tests.submission.made import limited, write_whole_run


@pytest.fixture(autouse=True)
def _same_data(shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINER_DATA_DIR", str(shared_data))


def mistake(true: str, named: str, reason: str = "wrong_sibling", phrase: str = "") -> Sample:
    record = {"id": f"cub/{true}", "fine": [true.upper()], "coarse": ["Gull"], "concept_id": true}
    strict = {"score": 0.0, "reason": reason, "named": [phrase or named], "concept": named if reason == "wrong_sibling" else ""}
    return Sample(record, named, {"em": {"score": 0.0}, "em_strict": strict})


def test_confusions_count_single_named_mistakes_and_put_the_confused_side_by_side() -> None:
    samples = [mistake("a", "b")] * 3 + [mistake("a", "b", phrase="black footed b")] * 2 + [mistake("b", "a")] * 4
    samples += [mistake("c", "d", phrase="the $x^{ d")] * 3 + [mistake("a", "d")]
    samples += [mistake("a", "c", "several"), mistake("a", "a", "right")]
    found = confusion(samples, 10)
    assert found is not None
    assert found.counts.sum() == 13
    assert found.pairs[0] == ("A", "B", 5)
    assert abs(found.names.index("A") - found.names.index("B")) == 1
    assert abs(found.names.index("C") - found.names.index("the $x^{ d")) == 1
    assert heat_map(found)
    few = confusion(samples, 2)
    assert few is not None
    assert (set(few.names), few.left_out) == ({"A", "B"}, 4)
    assert confusion([mistake("a", "a", "right")], 5) is None


def test_the_drop_is_over_the_same_documents(tmp_path: Path) -> None:
    (report,) = dataset_reports(read_run(write_whole_run(tmp_path / "run", 0.5)))
    means = {row.level: row.scores["em"].value for row in report.levels}
    assert report.drop is not None
    assert report.drop.value == pytest.approx(means["superordinate"] - means["fine"])
    assert [(row.scorer, row.documents) for row in report.paths] == [("em", 640), ("em_strict", 640)]
    assert sum(row.documents for row in report.groups) == 640
    assert [row.em for row in report.concepts] == sorted(row.em for row in report.concepts)


def test_figures_of_unequal_concepts_and_graded_scores(tmp_path: Path) -> None:
    """Concepts of one to ten documents; some documents were asked at one level only."""
    run = read_run(write_whole_run(tmp_path / "run", 0.6, tasks=("finer_mini_superordinate", "finer_mini_fine")))
    by_task: dict[str, tuple[Sample, ...]] = defaultdict(tuple)
    for task, lacking in zip(run.tasks, (3, 5), strict=True):
        seen = Counter[str]()
        for number, sample in enumerate(task.samples):
            seen[sample.record["concept_id"]] += 1
            sample.items["f1"]["score"] = (number * 7 % 11) / 10
            if number % lacking and seen[sample.record["concept_id"]] <= 1 + len(seen) % 10:
                by_task[task.name] += (sample,)
    tasks = tuple(dataclasses.replace(task, samples=by_task[task.name]) for task in run.tasks)
    (report,) = dataset_reports(dataclasses.replace(run, tasks=tasks))
    for row in report.levels:
        for metric, estimate in row.scores.items():
            assert estimate.value == pytest.approx(np.mean([sample.score(metric) for sample in by_task[row.task]]))
            assert estimate.low < estimate.value < estimate.high
    high, low = (
        {sample.record["id"]: sample.score("em") for sample in by_task[name]} for name in sorted(by_task, reverse=True)
    )
    assert report.drop is not None
    assert len(high.keys() & low.keys()) < min(len(high), len(low))
    assert report.drop.value == pytest.approx(np.mean([high[name] - low[name] for name in high.keys() & low.keys()]))
    concepts: dict[str, list[float]] = defaultdict(list)
    for sample in by_task["finer_mini_fine"]:
        concepts[sample.record["fine"][0]].append(sample.score("em"))
    found = {row.name: (row.documents, row.em) for row in report.concepts}
    assert found == {name: (len(values), pytest.approx(np.mean(values))) for name, values in concepts.items()}
    assert len({documents for documents, _ in found.values()}) > 3


def test_spellings_of_one_name_are_one_confusion_also_in_a_log_of_an_older_version(tmp_path: Path) -> None:
    documents = list(documents_of("mini").values())
    names = [other["fine"][0] for other in documents if other["concept_id"] != documents[0]["concept_id"]]
    spelled = [f"Answer: {names[0]}", f"Answer: the {names[0].replace(' ', '-').upper()}"]
    run = write_whole_run(tmp_path / "run", 1.0, tasks=("finer_mini_fine",), replies=spelled)
    same = documents[0]["concept_id"] == documents[1]["concept_id"]
    (report,) = dataset_reports(read_run(run))
    assert report.confusion is not None
    assert report.confusion.pairs[0] == (documents[0]["fine"][0], names[0], 1 + same)
    assert report.confusion.counts.sum() == 2
    for path in run.iterdir():
        path.write_text(path.read_text().replace('"scoring": "2"', '"scoring": "1"').replace(', "concept": "', ', "x": "'))
    assert main(["report", str(run), "--output", str(tmp_path / "r.html")]) == 0
    page = (tmp_path / "r.html").read_text()
    assert "scored anew by version 2, first by 1" in page
    assert "No answer named another concept instead" not in page


def test_a_part_of_a_split_and_documents_without_an_answer_are_told(tmp_path: Path) -> None:
    run = limited(write_whole_run(tmp_path / "run", 0.5, tasks=("finer_mini_fine",), corrupt=2), 8)
    assert main(["report", str(run), "--output", str(tmp_path / "r.html")]) == 0
    page = (tmp_path / "r.html").read_text()
    assert "finer_mini_fine: on 8 of 640 documents only" in page
    assert "counted as wrong: 2 x corrupt_image" in page


def test_a_samples_file_cannot_name_a_picture_of_this_machine(tmp_path: Path) -> None:
    secret = tmp_path / "secret.png"
    Image.new("RGB", (96, 96), (255, 0, 0)).save(secret)
    run = write_whole_run(tmp_path / "run", 0.5, tasks=("finer_mini_fine",))
    pages = []
    for media in (None, str(secret)):
        if media:
            (samples,) = run.glob("*.jsonl")
            lines = [json.loads(line) | {"input_media": [media]} for line in samples.read_text().splitlines()]
            samples.write_text("".join(json.dumps(line) + "\n" for line in lines))
        assert main(["report", str(run), "--output", str(tmp_path / "r.html")]) == 0
        pages.append(re.findall(r"data:image/jpeg[^\"]+", (tmp_path / "r.html").read_text()))
    assert pages[0] == pages[1]
    assert len(pages[0]) == 24


def test_text_of_models_is_shown_as_text(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>\x1b[2J\u202e'\"</script>"
    run = write_whole_run(tmp_path / "run", 0.5, tasks=("finer_mini_fine",), model=evil, replies=[f"Answer: {evil}"] * 400)
    assert main(["report", str(run), "--output", str(tmp_path / "r.html")]) == 0
    page = (tmp_path / "r.html").read_text()
    assert "<script>alert" not in page
    assert not set("\x1b\u202e") & set(page)


def test_the_page_opens_shows_pictures_and_unpacks_documents_on_demand(tmp_path: Path) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import Select, WebDriverWait

    runs = [
        write_whole_run(tmp_path / name, share, seed, model=name) for name, share, seed in (("a", 0.9, 0), ("b<i>", 0.4, 1))
    ]
    page = tmp_path / "report.html"
    assert main(["report", *map(str, runs), "--output", str(page)]) == 0
    with chromium() as browser:
        browser.get(page.as_uri())
        assert (
            browser.execute_script("return [...document.images].filter(i => i.src.startsWith('data:image/jpeg')).length") == 48
        )
        assert "b<i>" in [heading.text for heading in browser.find_elements(By.TAG_NAME, "h2")]
        section = browser.find_elements(By.CSS_SELECTOR, "details.documents")[1]
        assert not section.find_elements(By.CSS_SELECTOR, "tbody tr")
        section.find_element(By.TAG_NAME, "summary").click()
        status = section.find_element(By.CSS_SELECTOR, "[role=status]")
        WebDriverWait(browser, 10).until(lambda _: "640 documents, page 1 of 13" in status.text)
        which: Any = section.find_elements(By.TAG_NAME, "select")[1]
        Select(which).select_by_visible_text("wrong")
        run = read_run(runs[1])
        wrong = sum(sample.items["em"]["score"] == 0 for sample in run.tasks[0].samples)
        assert status.text.startswith(f"{wrong} documents")
        section.find_elements(By.TAG_NAME, "button")[1].click()
        assert "page 2 of" in status.text
        assert not [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]


def test_photographs_are_shown_large_enough_and_with_the_terms_that_they_stay_under(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "r.html"
    mini = write_whole_run(tmp_path / "mini", 0.5, tasks=("finer_mini_fine",))
    assert main(["report", str(mini), "--output", str(page)]) == 0
    assert "stay under its terms" not in page.read_text()
    monkeypatch.setenv("FINER_DATA_DIR", str(tmp_path / "data"))
    root = official.cub(tmp_path / "cub")
    photograph = root / "images/001.Black_footed_Albatross/b.jpg"
    with Image.open(photograph) as image:
        image.resize((640, 480)).save(photograph)
    prepare(Request("cub", root, allow_partial=True))
    run = write_run(tmp_path / "run", np.array([1.0, 0, 1, 0, 1]), list("aabbc"))
    assert main(["report", str(run), "--output", str(page)]) == 0
    (picture,) = re.findall(r"data:image/jpeg;base64,([^\"]+)", page.read_text())
    assert Image.open(io.BytesIO(base64.b64decode(picture))).size == (192, 144)
    assert page.read_text().count(f"stay under its terms ({get_reader('cub').origin.terms})") == 1


def test_runs_of_different_versions_are_not_mixed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = (write_run(tmp_path / name, np.ones(3), ["a", "b", "c"]) for name in "ab")
    (results,) = second.glob("*_results.json")
    results.write_text(results.read_text().replace("0.7.3", "0.7.2"))
    assert main(["report", str(first), str(second), "--output", str(tmp_path / "r.html")]) == 2
    assert "different versions of lmms-eval (0.7.2; 0.7.3)" in capsys.readouterr().err
    assert not (tmp_path / "r.html").exists()
