"""VLMEvalKit's files, written and read as its code does (vlmeval/dataset/image_base.py, inference.py, smp/file.py)."""

from __future__ import annotations

import base64
import csv
import io
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from finer_tasks.cli.main import main
from finer_tasks.datasets.images import image_of
from finer_tasks.errors import OutputError
from finer_tasks.exchange.asking import ExchangeError, asked
from finer_tasks.exchange.importing import import_run
from finer_tasks.exchange.matching import match
from finer_tasks.exchange.rows import read_rows
from finer_tasks.exchange.vlmevalkit import write_tsv
from finer_tasks.runs.reading import read_run

TASK = "finer_mini_fine"
LIMIT = 6
pytestmark = pytest.mark.usefixtures("mini_data")


def as_the_kit_loads_it(path: Path) -> pd.DataFrame:
    """load_tsv of smp/file.py, then what ImageBaseDataset does to `index`."""
    data = pd.read_csv(path, sep="\t")
    data["index"] = [int(x) for x in data["index"]]
    return data


def answered(tsv: Path, predictions: list[str] | None = None) -> pd.DataFrame:
    """What infer_data_job hands to dump: all columns but the image, and the predictions."""
    data = as_the_kit_loads_it(tsv)
    data["prediction"] = predictions or [f"Answer: {answer}" for answer in data["answer"]]
    return data.drop(columns=[name for name in ("image",) if name in data])


def dump(data: pd.DataFrame, path: Path) -> Path:
    """dump of smp/file.py by the file's ending."""
    if path.suffix == ".tsv":
        data.to_csv(path, sep="\t", index=False, encoding="utf-8", quoting=csv.QUOTE_ALL)
    elif path.suffix == ".csv":
        data.to_csv(path, index=False, encoding="utf-8", quoting=csv.QUOTE_ALL)
    elif path.suffix == ".xlsx":
        data.to_excel(path, index=False)
    elif path.suffix == ".json":
        path.write_text(json.dumps(data.to_dict("records"), indent=4, ensure_ascii=False))
    else:
        path.write_bytes(pickle.dumps(data))
    return path


@pytest.fixture
def tsv(tmp_path: Path) -> Path:
    path = tmp_path / "FinerMiniFine.tsv"
    assert write_tsv(asked(TASK), path, limit=LIMIT) == LIMIT
    return path


def test_the_kit_reads_the_tsv_and_sees_our_question_and_pixels(tsv: Path) -> None:
    task, data = asked(TASK), as_the_kit_loads_it(tsv)
    assert not {"A", "B", "image"} & set(data.columns)  # then it is a custom VQA dataset with paths
    for number, document in enumerate(task.prepared.tables()["test"].select(range(LIMIT))):
        row = data.iloc[number]
        assert row["question"] == task.question(document)
        assert row["answer"] in document["fine"]
        shown = Image.open(row["image_path"]).convert("RGB")
        assert shown.tobytes() == image_of(task.prepared, document).tobytes()


def test_images_in_the_tsv_hold_our_pixels(tmp_path: Path) -> None:
    write_tsv(asked(TASK), tmp_path / "x.tsv", "base64", limit=2)
    task, data = asked(TASK), as_the_kit_loads_it(tmp_path / "x.tsv")
    shown = Image.open(io.BytesIO(base64.b64decode(data["image"][1])))
    assert shown.tobytes() == image_of(task.prepared, task.prepared.tables()["test"][1]).tobytes()
    assert len(data["image"][1]) > 64  # shorter ones the kit takes for another row's number


def test_pixels_that_differ_from_the_file_are_written_beside_the_tsv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINER_PERTURB", "blur:3")
    task = asked(TASK)
    write_tsv(task, tmp_path / "x.tsv", limit=1)
    path = Path(as_the_kit_loads_it(tmp_path / "x.tsv")["image_path"][0])
    assert path == tmp_path / "x_images/0.png"
    assert Image.open(path).tobytes() == image_of(task.prepared, task.prepared.tables()["test"][0]).tobytes()


@pytest.mark.parametrize("ending", ["tsv", "csv", "xlsx", "json"])
def test_a_result_file_becomes_a_run_with_our_scores(ending: str, tsv: Path, tmp_path: Path) -> None:
    replies = ["Answer: " + answer for answer in answered(tsv)["answer"]]
    replies[1:4] = ["It is a Dunmore Finch,\nI think", "", "Failed to obtain answer via API."]
    path = dump(answered(tsv, replies), tmp_path / f"Qwen_FinerMiniFine.{ending}")
    task = asked(TASK)
    import_run(task, match(read_rows(path), task, partial=True), "vlmevalkit", "Qwen", tmp_path / "run")
    run = read_run(tmp_path / "run")
    (found,) = run.tasks
    assert list(found.scores("em")) == [1, 0, 0, 0, 1, 1]
    assert [sample.reason for sample in found.samples][2:4] == ["empty", "request_failed"]
    assert found.part == f"{LIMIT} of 640 documents"
    assert json.loads(run.path.read_text())["results"][TASK]["em,none"] == pytest.approx(0.5)
    identity = found.identity
    assert identity["imported"] | {"sha256": ""} == {
        "from": "vlmevalkit", "file": path.name, "sha256": "", "matched_by": "id", "settings": "not stated",
    }  # fmt: skip
    assert identity["prompt_set"] == "finer-1"
    assert "machine" not in identity


def test_other_questions_leave_the_prompts_not_stated(tsv: Path, tmp_path: Path) -> None:
    data = answered(tsv)
    data["question"] = "What is it?"
    task = asked(TASK)
    import_run(task, match(read_rows(dump(data, tmp_path / "a.tsv")), task, partial=True), "vlmevalkit", "m", tmp_path / "run")
    assert read_run(tmp_path / "run").tasks[0].identity["prompt_hash"] == "not stated"


def without(*columns: str) -> Callable[[pd.DataFrame], pd.DataFrame]:
    return lambda data: data.drop(columns=list(columns))


MATCHES: dict[str, tuple[Callable[[pd.DataFrame], pd.DataFrame], str]] = {
    "id": (lambda data: data.sample(frac=1, random_state=0), "id"),
    "path": (without("id"), "image_path"),
    "index with answers": (without("id", "image_path"), "index"),
}


@pytest.mark.parametrize("name", MATCHES)
def test_rows_are_matched_by_the_surest_column_in_any_order(name: str, tsv: Path, tmp_path: Path) -> None:
    change, by = MATCHES[name]
    matched = match(read_rows(dump(change(answered(tsv)), tmp_path / "a.tsv")), asked(TASK), partial=True)
    assert matched.by == by
    assert {number: row.values["index"] for number, row in matched.rows.items()} == {n: str(n) for n in range(LIMIT)}


def changed(column: str, row: int, value: str) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def change(data: pd.DataFrame) -> pd.DataFrame:
        data = data.astype(str)
        data.loc[row, column] = value
        return data

    return change


REFUSED: dict[str, tuple[Callable[[pd.DataFrame], pd.DataFrame], str]] = {
    "unknown id": (changed("id", 2, "mini/test/x"), r"a\.tsv:4: id 'mini/test/x' is no document of finer_mini_fine"),
    "twice": (changed("id", 3, "mini/test/alder_finch/000"), r"a\.tsv:5: a second answer to .*000, the first is on line 2"),
    "another order": (
        changed("answer", 1, "Calder Finch"),
        r"a\.tsv:3: the answer 'Calder Finch' is not right for the document",
    ),
    "an index alone": (without("id", "image_path", "answer"), "has neither an id nor the right answers"),
    "no key": (without("id", "image_path", "index"), "has no column id or image_path or image or index"),
    "no prediction": (without("prediction"), "has no column prediction"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_rows_that_cannot_be_matched_are_named(name: str, tsv: Path, tmp_path: Path) -> None:
    change, message = REFUSED[name]
    with pytest.raises(ExchangeError, match=message):
        match(read_rows(dump(change(answered(tsv)), tmp_path / "a.tsv")), asked(TASK), partial=True)


def test_a_file_that_lacks_documents_is_refused_unless_allowed(tsv: Path, tmp_path: Path) -> None:
    rows = read_rows(dump(answered(tsv), tmp_path / "a.tsv"))
    with pytest.raises(ExchangeError, match=r"lacks 634 of 640 documents of finer_mini_fine, for example mini/test/.*partial"):
        match(rows, asked(TASK))


def test_answers_kept_while_the_kit_runs_are_read_and_other_pickles_are_not(tsv: Path, tmp_path: Path) -> None:
    path = tmp_path / "02_FinerMiniFine.pkl"
    path.write_bytes(pickle.dumps({0: "Answer: x", 1: "Answer: y"}))
    assert [row.values for row in read_rows(path)] == [
        {"index": "0", "prediction": "Answer: x"},
        {"index": "1", "prediction": "Answer: y"},
    ]
    with pytest.raises(ExchangeError, match=r"reading such may run any code.*pandas\.read_pickle"):
        read_rows(dump(answered(tsv), tmp_path / "a.pkl"))


@pytest.mark.parametrize(("name", "content", "message"), [
    ("a.tsv", b"index\tprediction\n1\n", r"a\.tsv:2: the row has 1 cells, the head has 2"),
    ("a.tsv", b"index\tprediction\n1\t\xff\n", r"a\.tsv:2: not UTF-8 text"),
    ("a.tsv", b"index\tprediction\n", "holds no rows"),
    ("a.tsv", b"index\tprediction\tprediction\n1\ta\tb\n", r"a\.tsv:1: two columns are called prediction"),
    ("a.xlsx", b"PK", "is no readable XLSX file"),
    ("a.json", b"{}", "is no list of records"),
    ("a.pkl", b"cos\nsystem\n(S'true'\ntR.", "holds a .*system"),
    ("a.txt", b"", r"end in \.tsv, \.csv, \.xlsx, \.json, \.pkl"),
])  # fmt: skip
def test_damaged_files_are_refused_with_their_place(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ExchangeError, match=message):
        read_rows(tmp_path / name)


def test_a_sheet_that_is_cut_off_inside_and_an_endless_index_are_refused(tsv: Path, tmp_path: Path) -> None:
    whole, cut = dump(answered(tsv), tmp_path / "a.xlsx"), tmp_path / "cut.xlsx"
    with zipfile.ZipFile(whole) as old, zipfile.ZipFile(cut, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            new.writestr(name, content[: len(content) // 2] if "sheet1" in name else content)
    with pytest.raises(ExchangeError, match=r"cut\.xlsx is no readable XLSX file"):
        read_rows(cut)
    path = tmp_path / "a.tsv"
    path.write_text(f"index\tanswer\tprediction\n{'9' * 5000}\tx\ty\n")
    with pytest.raises(ExchangeError, match="is no document of"):
        match(read_rows(path), asked(TASK), partial=True)


def test_multiple_choice_comes_back_scored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name, tsv = "finer_mini_fine_mc", tmp_path / "mc.tsv"
    task = asked(name)
    write_tsv(task, tsv, limit=LIMIT)
    data = as_the_kit_loads_it(tsv)
    for number, document in enumerate(list(task.documents())[:LIMIT]):
        row = data.iloc[number]
        assert row[row["answer"]] == document["fine"][0]
        assert len({row[letter] for letter in "ABCD"}) == 4
    replies = [*data["answer"][:3], data[data["answer"][3]][3], "E", ""]
    path = dump(answered(tsv, [str(reply) for reply in replies]), tmp_path / "a.xlsx")
    import_run(task, match(read_rows(path), task, partial=True), "vlmevalkit", "m", tmp_path / "run")
    (found,) = read_run(tmp_path / "run").tasks
    assert list(found.scores("mc")) == [1, 1, 1, 1, 0, 0]
    assert found.identity["prompt_set"] == "not stated"
    monkeypatch.setenv("FINER_CHOICES", "random")
    with pytest.raises(ExchangeError, match=r"a\.xlsx:\d+: the (answer|options) "):
        match(read_rows(path), asked(name), partial=True)


@pytest.mark.parametrize(
    "name", ["finer_mini_fine_attrseek", "finer_mini_attributes", "finer_mini_fine_text", "finer_mini_fine_closed"]
)
def test_tasks_that_are_no_single_question_are_refused(name: str) -> None:
    with pytest.raises(ExchangeError, match=f"{name} cannot be asked by another kit"):
        asked(name)


def test_the_commands_write_and_read_and_submissions_refuse(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tsv, run = tmp_path / "m.tsv", tmp_path / "run"
    assert main(["export", TASK, "--form", "vlmevalkit", "--output", str(tsv)]) == 0
    path = dump(answered(tsv), tmp_path / "Qwen_m.tsv")
    order = ["import", str(path), "--form", "vlmevalkit", "--task", TASK, "--model", "Qwen", "--output", str(run)]
    assert main(order) == 0
    assert "imported from vlmevalkit (Qwen_m.tsv), settings not stated" in capsys.readouterr().out
    assert read_run(run).tasks[0].part == ""
    assert main(order) == 2
    assert "is there already" in capsys.readouterr().err
    assert main(["report", str(run), "--output", str(tmp_path / "report.html")]) == 0
    assert "imported from vlmevalkit (Qwen_m.tsv), settings not stated" in (tmp_path / "report.html").read_text()
    card = tmp_path / "card.yaml"
    card.write_text("name: m\nrevision: r\nparameters: 1\nweights: open\ncontact: a\n")
    main(["submit", "pack", str(run), "--card", str(card), "--output", str(tmp_path / "m.zip")])
    assert "was imported from vlmevalkit, and how its answers came about is not stated" in capsys.readouterr().err
    with pytest.raises(OutputError, match="looks for NAME"):
        write_tsv(asked(TASK), tmp_path / "m.csv")
