"""Features are those of the model itself, whatever its architecture, batch and tiles, and stay so when a run is taken up again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model

from finer_tasks.datasets.images import image_of
from finer_tasks.datasets.prepared import load_prepared
from finer_tasks.errors import ModelError
from finer_tasks.models.conversation import ChatEncoder
from finer_tasks.models.loading import LoadOptions, load_model, load_processor
from finer_tasks.probe.documents import Documents, choose_documents
from finer_tasks.probe.extraction import Extracted, Extractor
from finer_tasks.probe.points import choose_taps, path_of
from finer_tasks.probe.results import ProbeError
from finer_tasks.tasks.questions import ask
from tests.training.tiny_models import save

TESTED = 6
POINTS = ("projector.mean", "language.1.last")


@pytest.fixture
def documents(mini_data: Path) -> Documents:
    return choose_documents(load_prepared("mini"), 2, TESTED, 0)


Extract = Callable[..., Extracted]


@pytest.fixture
def extract(documents: Documents, tmp_path: Path) -> Extract:
    def run(
        model: str, *points: str, pooling: tuple[str, ...] = ("mean", "cls", "last"), batch: int = 4, to: str = "out"
    ) -> Extracted:
        extractor = Extractor(LoadOptions(model, device="cpu"), batch, load_prepared("mini"), documents)
        found = extractor.extract(points, pooling, tmp_path / to)
        assert found is not None
        return found

    return run


def states(model: str, documents: Documents) -> tuple[Any, Any, torch.Tensor, Any]:
    """Hidden states of the encoder and language model for the test documents as transformers gives them, and where the image is."""
    options = LoadOptions(model)
    loaded, encoder = load_model(options, torch.device("cpu")), ChatEncoder(load_processor(options))
    conversations = []
    for document in documents.test.table.select(range(TESTED)):
        image = {"type": "image", "url": image_of(load_prepared("mini"), document)}
        text = {"type": "text", "text": ask(document, "direct", "fine", "none")}
        conversations.append([{"role": "user", "content": [image, text]}])
    inputs = encoder.encode(conversations)
    with torch.inference_mode():
        language = loaded(**inputs, output_hidden_states=True).hidden_states
        vision = loaded.model.vision_tower(inputs["pixel_values"], output_hidden_states=True).hidden_states
    return vision, language, inputs["input_ids"] == loaded.config.image_token_id, loaded


def close(found: Extracted, point: str, documents: Documents, wanted: torch.Tensor) -> bool:
    return np.allclose(found.read("test", point, documents.test.rows), wanted.numpy(), rtol=2e-3, atol=2e-3)


def test_llava_gives_what_transformers_gives(extract: Extract, documents: Documents) -> None:
    found = extract("finer-mini", "encoder.0", "encoder.2", "encoder.used", "projector", "language.0", "language.3")
    vision, language, shown, model = states("finer-mini", documents)
    used = vision[model.config.vision_feature_layer]
    with torch.inference_mode():
        projected = model.model.multi_modal_projector(used[:, 1:])
    wanted = {
        "encoder.0.mean": vision[0][:, 1:].mean(1),
        "encoder.2.mean": vision[2][:, 1:].mean(1),
        "encoder.2.cls": vision[2][:, 0],
        "encoder.used.mean": used[:, 1:].mean(1),
        "encoder.used.cls": used[:, 0],
        "projector.mean": projected.mean(1),
        "language.0.mean": projected.mean(1),
        "language.3.mean": torch.stack([row[here].mean(0) for row, here in zip(language[3], shown, strict=True)]),
        "language.3.last": language[3][:, -1],
    }
    assert {name for name in wanted if not close(found, name, documents, wanted[name])} == set()
    places = [point.place for point in found.points]
    assert places == sorted(places, key=["encoder", "projector", "language"].index)
    assert {point.name for point in found.points if point.used} == {"encoder.used.mean", "encoder.used.cls", "projector.mean"}


@pytest.mark.parametrize("name", ["llava-next", "idefics3", "internvl", "qwen2.5-vl"])
def test_other_architectures_give_the_same_alone_and_in_a_batch(
    name: str, extract: Extract, documents: Documents, tmp_path: Path
) -> None:
    save(name, tmp_path / name)
    points = ("encoder.1", "encoder.used", "projector", "language.1")
    batch, alone = (extract(str(tmp_path / name), *points, batch=size, to=f"out{size}") for size in (4, 1))
    for point in batch.points:
        rows = documents.test.rows
        values = batch.read("test", point.name, rows)
        assert np.allclose(values, alone.read("test", point.name, rows), rtol=1e-2, atol=1e-3), point.name
        assert (values.std(axis=0) > 0).any(), f"{point.name} is the same for all images"
    has_class_token = name in ("llava-next", "internvl")
    assert any(point.pooling == "cls" for point in batch.points) == has_class_token


def test_what_is_there_is_kept_and_what_is_missing_is_added(extract: Extract, documents: Documents) -> None:
    first = extract("finer-mini", "projector", "encoder.used.mean")
    column, rows = first.columns["test"]["projector.mean"], documents.test.rows
    whole, mark = column.read(rows), np.full((1, *column.shape[1:]), 7, dtype=np.float32)
    scales = np.load(column.path.with_suffix(".scale.npy"))
    column.write(rows[:1], mark)  # would be lost if the row were made anew
    scales[rows[3:]] = 0
    np.save(column.path.with_suffix(".scale.npy"), scales)
    again = extract("finer-mini", "projector", "language.1.last")
    kept = again.read("test", "projector.mean", rows)
    assert (kept[0] == 7).all()
    assert np.array_equal(kept[1:], whole[1:])
    assert [point.name for point in again.points] == ["projector.mean", "language.1.last"]
    assert again.columns["test"]["language.1.last"].there()[rows].all()


def test_attention_keeps_all_positions(extract: Extract, documents: Documents) -> None:
    found = extract("finer-mini", "encoder.used", "language.1", pooling=("attention", "mean"))
    rows = documents.test.rows
    for name in ("encoder.used", "language.1"):
        positions = found.read("test", f"{name}.attention", rows)
        assert positions.ndim == 3
        assert np.allclose(positions.mean(1), found.read("test", f"{name}.mean", rows), atol=5e-3)


def test_an_adapter_is_probed_with_its_model(documents: Documents, tmp_path: Path) -> None:
    model = load_model(LoadOptions("finer-mini"), torch.device("cpu"))
    lora = LoraConfig(target_modules=r".*language_model.*q_proj", init_lora_weights=False)
    get_peft_model(model, lora).save_pretrained(tmp_path / "adapter")
    found = [
        Extractor(LoadOptions("finer-mini", peft=peft), 4, load_prepared("mini"), documents).extract(
            ["projector", "language.1"], ["mean", "last"], tmp_path / str(bool(peft))
        )
        for peft in (None, str(tmp_path / "adapter"))
    ]
    plain, adapted = ([one.read("test", name, documents.test.rows) for name in POINTS] for one in found if one)
    assert np.array_equal(plain[0], adapted[0])
    assert not np.allclose(plain[1], adapted[1], atol=0.05)


def test_features_that_are_no_numbers_are_refused(extract: Extract, tmp_path: Path) -> None:
    options = LoadOptions("finer-mini")
    model = load_model(options, torch.device("cpu"))
    with torch.no_grad():
        model.model.multi_modal_projector.linear_2.weight.fill_(3e38)
    model.save_pretrained(tmp_path / "broken")
    load_processor(options).save_pretrained(tmp_path / "broken")
    with pytest.raises(ModelError, match=r"projector\.mean of .* documents are no numbers, for example of mini/"):
        extract(str(tmp_path / "broken"), "projector")


@pytest.mark.parametrize(
    ("point", "told"),
    [
        ("encoder.9", "has 4 layers. Give 0 to 4"),
        ("decoder.1", "no point of the path"),
        ("projector.cls", "projector has no cls pooling"),
        ("encoder.used.last", "encoder.used has no last pooling"),
    ],
)
def test_points_that_the_model_lacks_are_refused(point: str, told: str) -> None:
    path = path_of(load_model(LoadOptions("finer-mini"), torch.device("cpu")), "finer-mini")
    with pytest.raises(ProbeError, match=told):
        choose_taps(path, [point], ["mean"])


def test_a_model_without_projector_is_refused(tmp_path: Path) -> None:
    save("blip-2", tmp_path / "blip")
    model = load_model(LoadOptions(str(tmp_path / "blip")), torch.device("cpu"))
    with pytest.raises(ProbeError, match="a blip-2 has no projector"):
        path_of(model, "blip")
