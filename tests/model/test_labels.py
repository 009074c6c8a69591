from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from afformer.datasets import CITYSCAPES
from afformer.errors import AfformerError
from afformer.model.checkpoint import load_checkpoint
from afformer.model.choices import CheckpointOptions
from afformer.spec import ModelSpec
from tests.builders.networks import official_state, random_network

FIVE, NINETEEN, ONE = (official_state(random_network(num_classes=count)) for count in (5, 19, 1))
NAMES = ("sky", "road", "car", "tree", "wall")


def spec_of(tmp_path: Path, content: Any, **said: Any) -> ModelSpec:
    torch.save(content, tmp_path / "a.pth")
    return load_checkpoint(tmp_path / "a.pth", CheckpointOptions(**said)).spec((64, 64))


@pytest.mark.parametrize(
    "said",
    [
        {"meta": {"CLASSES": NAMES}},
        {"meta": {"dataset_meta": {"classes": list(NAMES)}}},
        {"meta": {"classes": dict(enumerate(NAMES))}},
        {"hyper_parameters": {"id2label": {str(i): name for i, name in enumerate(NAMES)}}},
        {"hyper_parameters": {"label2id": {name: i for i, name in reversed(list(enumerate(NAMES)))}}},
        {"class_names": list(NAMES)},
        {"meta": {"cfg": f"metainfo = dict(classes={NAMES})"}},
        {"class_to_idx": {name: i for i, name in enumerate(NAMES)}},
        {"class_names": np.array(NAMES)},
        {"class_names": np.array(NAMES, object)},
        {"class_names": np.array([name.encode() for name in NAMES])},
        {"classes": ", ".join(NAMES)},
        {"names": dict(enumerate(NAMES, 1))},
        {"id2label": {**dict(enumerate(NAMES)), 255: "void"}},
        {"categories": [{"id": i, "name": name} for i, name in reversed(list(enumerate(NAMES)))]},
        {"hyper_parameters": {"classes": 5, "data": {"class_names": list(NAMES)}}},
    ],
)
def test_names_are_read_in_the_forms_that_files_have(tmp_path: Path, said: dict[str, Any]) -> None:
    spec = spec_of(tmp_path, {**said, "state_dict": FIVE})
    assert (spec.classes, spec.dataset) == (NAMES, "custom")
    assert spec.provenance["classes"] == "from the checkpoint"


COLOURS = [[i, 2 * i, 3 * i] for i in range(5)]


@pytest.mark.parametrize(
    "palette",
    [
        ["#" + bytes(colour).hex() for colour in COLOURS],
        np.array(COLOURS) / np.float32(255),
        torch.tensor(COLOURS, dtype=torch.uint8),
        [part for colour in COLOURS for part in colour] + [0] * (768 - 15),
        dict(reversed(list(zip(NAMES, COLOURS, strict=True)))),
    ],
    ids=["hexadecimal", "fractions", "tensor", "a row of 256", "by name"],
)
def test_colours_are_read_in_whatever_form_they_have(tmp_path: Path, palette: Any) -> None:
    spec = spec_of(tmp_path, {"meta": {"CLASSES": NAMES, "PALETTE": palette}, "state_dict": FIVE})
    assert spec.palette == tuple((i, 2 * i, 3 * i) for i in range(5))


def test_names_with_their_colours_are_read_together(tmp_path: Path) -> None:
    by_name = dict(zip(NAMES, COLOURS, strict=True))
    objects = [{"name": name, "id": i, "color": by_name[name]} for i, name in reversed(list(enumerate(NAMES)))]
    for classes in (by_name, objects):
        spec = spec_of(tmp_path, {"classes": classes, "state_dict": FIVE})
        assert (spec.classes, spec.palette) == (NAMES, tuple(map(tuple, COLOURS)))


def test_names_and_colours_that_cannot_be_used_are_said(tmp_path: Path) -> None:
    content = {"meta": {"CLASSES": ["road"] * 5, "PALETTE": COLOURS[:4]}, "state_dict": FIVE}
    origin = spec_of(tmp_path, content).provenance["classes"]
    assert "its names cannot be read, or are not all different" in origin
    assert "its colours cannot be read or do not fit" in origin


@pytest.mark.parametrize("form", [np.uint8, np.int64, list, "by id"])
def test_colours_are_read_in_the_forms_that_files_have(tmp_path: Path, form: Any) -> None:
    colours = [[i, 2 * i, 3 * i] for i in range(5)]
    palette: Any = colours if form is list else dict(enumerate(colours)) if form == "by id" else np.array(colours, form)
    spec = spec_of(tmp_path, {"meta": {"CLASSES": NAMES, "PALETTE": palette}, "state_dict": FIVE})
    assert spec.palette == tuple((i, 2 * i, 3 * i) for i in range(5))


def test_nineteen_classes_are_not_cityscapes_unless_somebody_says_so(tmp_path: Path) -> None:
    nameless = spec_of(tmp_path, NINETEEN)
    assert (nameless.classes[18], nameless.dataset) == ("class 18", "custom")
    assert "say `dataset=cityscapes`" in nameless.provenance["classes"]
    for content, said in (
        ({"meta": {"CLASSES": CITYSCAPES.classes}, "state_dict": NINETEEN}, {}),
        ({"meta": {"config": "dataset_type = 'CityscapesDataset'"}, "state_dict": NINETEEN}, {}),
        (NINETEEN, {"dataset": "cityscapes"}),
    ):
        spec = spec_of(tmp_path, content, **said)
        assert (spec.classes, spec.dataset) == (CITYSCAPES.classes, "cityscapes")


def test_names_of_another_number_are_left_out_and_that_is_said(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, {"meta": {"CLASSES": NAMES[:4]}, "state_dict": FIVE})
    assert spec.classes[0] == "class 0"
    assert "its 4 names do not fit 5 classes" in spec.provenance["classes"]


@pytest.mark.parametrize(
    "content",
    [
        list(NAMES),
        dict(enumerate(NAMES)),
        {name: i for i, name in enumerate(NAMES)},
        {"classes": list(NAMES)},
        [{"id": i, "name": name} for i, name in reversed(list(enumerate(NAMES)))],
    ],
)
def test_names_and_colours_come_from_files(tmp_path: Path, content: Any) -> None:
    classes, palette = tmp_path / "names.json", tmp_path / "colours.txt"
    classes.write_text(json.dumps(content))
    palette.write_text("1 2 3\n#040506\n7,8,9\n10 11 12\n13 14 15\n")
    spec = spec_of(tmp_path, FIVE, classes=classes, palette=palette)
    assert spec.classes == NAMES
    assert spec.palette[:3] == ((1, 2, 3), (4, 5, 6), (7, 8, 9))
    assert spec.provenance["classes"] == "from names.json; colours from colours.txt"


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("c.txt", "a\nb\n", "names 2 classes, but .* has 5"),
        ("c.json", "{}", "holds no class names"),
        ("c.json", '["a", "a", "b", "c", "d"]', "or one of them twice"),
        ("c.json", "[", "is not JSON"),
    ],
)
def test_a_file_of_names_that_cannot_be_meant_is_refused(tmp_path: Path, name: str, text: str, reason: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(AfformerError, match=reason):
        spec_of(tmp_path, FIVE, classes=tmp_path / name)


@pytest.mark.parametrize(
    ("config", "given", "threshold"),
    [
        ("", None, 0.5),
        ("", 0.8, 0.8),
        ("model = dict(decode_head=dict(out_channels=1))", None, 0.3),
        ("model = dict(decode_head=dict(out_channels=1, threshold=0.6))", None, 0.6),
    ],
)
def test_a_head_of_one_channel_becomes_background_and_foreground(
    tmp_path: Path, config: str, given: float | None, threshold: float
) -> None:
    content = {"meta": {"CLASSES": ["crack"], "config": config}, "state_dict": ONE}
    torch.save(content, tmp_path / "a.pth")
    checkpoint = load_checkpoint(tmp_path / "a.pth", CheckpointOptions(threshold=given))
    features = torch.randn(50, 256, generator=torch.Generator().manual_seed(0)) * 3
    weight, bias = ONE["decode_head.conv_seg.weight"][:, :, 0, 0], ONE["decode_head.conv_seg.bias"]
    foreground = torch.sigmoid(features @ weight.T + bias)[:, 0] > threshold
    weight, bias = checkpoint.state["head.classify.weight"][:, :, 0, 0], checkpoint.state["head.classify.bias"]
    assert torch.equal((features @ weight.T + bias).argmax(1) == 1, foreground)
    assert 0 < foreground.float().mean() < 1
    assert checkpoint.spec((64, 64)).classes == ("background", "crack")
    assert f"the sigmoid exceeds {threshold:g}" in checkpoint.weights


def test_names_are_read_from_the_metadata_of_safetensors(tmp_path: Path) -> None:
    tensors = {name: tensor.clone().contiguous() for name, tensor in FIVE.items()}
    metadata = {"format": "pt", "id2label": json.dumps(dict(enumerate(NAMES)))}
    save_file(tensors, tmp_path / "a.safetensors", metadata)
    assert load_checkpoint(tmp_path / "a.safetensors").spec((64, 64)).classes == NAMES


def test_ids_of_thousands_of_digits_are_no_ids(tmp_path: Path) -> None:
    huge = 10**2_000
    content = {"label2id": dict.fromkeys(NAMES, huge), "palette": [huge] * 15, "state_dict": FIVE}
    assert spec_of(tmp_path, content).classes[0] == "class 0"
