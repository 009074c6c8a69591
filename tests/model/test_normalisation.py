from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from afformer.errors import CheckpointError
from afformer.model.checkpoint import load_checkpoint
from afformer.model.choices import CheckpointOptions
from afformer.model.normalisation import Normalisation
from afformer.spec import IMAGENET_MEAN, IMAGENET_STD, ColorOrder
from tests.builders.networks import official_state, random_network

STATE = official_state(random_network())
OWN_MEAN, OWN_STD = (80.5, 90.25, 100.0), (50.0, 55.5, 60.0)
VALUES = "mean=[80.5, 90.25, 100.0], std=[50.0, 55.5, 60.0]"
PREPROCESSOR = f"dict(type='SegDataPreProcessor', {VALUES}, bgr_to_rgb=%s)"


def found(tmp_path: Path, content: Any, **said: Any) -> Normalisation:
    torch.save(content, tmp_path / "a.pth")
    return load_checkpoint(tmp_path / "a.pth", CheckpointOptions(**said)).normalisation


def config(text: str, key: str = "config") -> dict[str, Any]:
    return {"meta": {key: text}, "state_dict": STATE}


@pytest.mark.parametrize(
    ("text", "order"),
    [
        (f"img_norm_cfg = dict({VALUES}, to_rgb=True)", ColorOrder.RGB),
        (f"img_norm_cfg = dict({VALUES}, to_rgb=False)", ColorOrder.BGR),
        (f"img_norm_cfg = dict({VALUES})", ColorOrder.RGB),
        (f"n = dict({VALUES}, to_rgb=False)\ntest_pipeline = [dict(type='Normalize', **n)]", ColorOrder.BGR),
        (f"data = dict(test=dict(pipeline=[dict(type='Normalize', {VALUES}, to_rgb=False)]))", ColorOrder.BGR),
        (f"model = dict(data_preprocessor={PREPROCESSOR % True})", ColorOrder.RGB),
        (f"data_preprocessor = {PREPROCESSOR % False}", ColorOrder.BGR),
        (f"data_preprocessor = dict(type='SegDataPreProcessor', {VALUES})", ColorOrder.BGR),
        (f"data_preprocessor = dict(type='SegDataPreProcessor', {VALUES}, rgb_to_bgr=True)", ColorOrder.BGR),
        (f"data = dict({VALUES}, bgr=True)", ColorOrder.BGR),
        (f"/home/me/config.py\nimg_norm_cfg = dict({VALUES}, to_rgb=False)", ColorOrder.BGR),
        ('{"img_norm_cfg": {"mean": [80.5, 90.25, 100.0], "std": [50, 55.5, 60], "to_rgb": false}}', ColorOrder.BGR),
    ],
)
@pytest.mark.parametrize("key", ["config", "cfg"])
def test_what_the_configuration_says_is_taken(tmp_path: Path, text: str, order: ColorOrder, key: str) -> None:
    normalisation = found(tmp_path, config(text, key))
    assert (normalisation.mean, normalisation.std, normalisation.order) == (OWN_MEAN, OWN_STD, order)
    assert not normalisation.assumed
    assert f"in meta.{key}" in normalisation.origin


HALF = (127.5, 127.5, 127.5)
PLACES: dict[str, tuple[dict[str, Any], tuple[Any, Any]]] = {
    "top of the file": ({"mean": list(OWN_MEAN), "std": list(OWN_STD)}, (OWN_MEAN, OWN_STD)),
    "tensors": ({"mean": torch.tensor(OWN_MEAN), "std": torch.tensor(OWN_STD)}, (OWN_MEAN, OWN_STD)),
    "integer tensors": (
        {"norm": {"mean": torch.tensor([1, 2, 3]), "std": torch.tensor([4, 5, 6])}},
        ((1, 2, 3), (4, 5, 6)),
    ),
    "detectron2": ({"cfg": {"MODEL": {"PIXEL_MEAN": OWN_MEAN, "PIXEL_STD": OWN_STD}}}, (OWN_MEAN, OWN_STD)),
    "transformers": (
        {"preprocessor": {"image_mean": [0.0] * 3, "image_std": [1.0] * 3, "rescale_factor": 1 / 255}},
        ((0, 0, 0), (255, 255, 255)),
    ),
    "one number for all channels": ({"hparams": {"normalize": {"mean": 0.5, "std": 0.5}}}, (HALF, HALF)),
    "albumentations": (
        {
            "transform": {
                "__class_fullname__": "A.Normalize",
                "mean": [0, 0, 0],
                "std": [0.5] * 3,
                "max_pixel_value": 255.0,
            }
        },
        ((0, 0, 0), HALF),
    ),
    "text of a command line": ({"args": {"mean": "80.5,90.25,100", "std": "50 55.5 60"}}, (OWN_MEAN, OWN_STD)),
    "second of a tuple": ({"meta": {"extra": [{"norm": {"mean": OWN_MEAN, "std": OWN_STD}}]}}, (OWN_MEAN, OWN_STD)),
    "repeated list": (
        {"meta": {"cfg": "data_preprocessor = dict(mean=[127.5] * 3, std=[255 * x for x in (0.5, 0.5, 0.5)])"}},
        (HALF, HALF),
    ),
    "beside initial weights": (
        {"meta": {"config": f"norm = dict(type='Normal', mean=0, std=0.01)\nx = dict(norm=dict({VALUES}))"}},
        (OWN_MEAN, OWN_STD),
    ),
}


@pytest.mark.parametrize("place", PLACES)
def test_mean_and_std_are_read_wherever_a_file_has_them(tmp_path: Path, place: str) -> None:
    content, (mean, std) = PLACES[place]
    normalisation = found(tmp_path, {**content, "state_dict": STATE})
    assert normalisation.mean == pytest.approx(mean)
    assert normalisation.std == pytest.approx(std)
    assert "assumed, the checkpoint does not say" not in normalisation.origin
    assert "says otherwise: mean" not in normalisation.origin


@pytest.mark.parametrize("prefix", ["", "net.", "model.normalize."])
def test_buffers_outside_the_networks_own_prefix_are_read(tmp_path: Path, prefix: str) -> None:
    state = {f"model.net.{name}": tensor for name, tensor in STATE.items()}
    buffers = {f"{prefix}pixel_mean": torch.tensor(OWN_MEAN).view(3, 1, 1), f"{prefix}pixel_std": torch.tensor(OWN_STD)}
    normalisation = found(tmp_path, {"state_dict": {**state, **buffers}, "cfg": {"INPUT": {"FORMAT": "BGR"}}})
    assert (normalisation.mean, normalisation.std, normalisation.order) == (OWN_MEAN, OWN_STD, ColorOrder.BGR)
    assert not normalisation.assumed


def test_a_normalisation_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    normalisation = found(tmp_path, config("img_norm_cfg = dict(mean=means_of(data), std=[1, 2, 3])"))
    assert normalisation.assumed
    assert "img_norm_cfg.mean in meta.config cannot be read" in normalisation.origin


def test_a_configuration_is_never_run(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    text = f"import os\nos.system('touch {marker}')\nx = open('{marker}', 'w')\nimg_norm_cfg = dict({VALUES})"
    assert found(tmp_path, config(text)).mean == OWN_MEAN
    assert not marker.exists()


def test_the_buffers_of_the_preprocessor_are_what_was_computed_with(tmp_path: Path) -> None:
    buffers = {
        "data_preprocessor.mean": torch.tensor(OWN_MEAN).view(3, 1, 1),
        "data_preprocessor.std": torch.tensor(OWN_STD).view(3, 1, 1),
    }
    text = "data_preprocessor = dict(mean=[1, 2, 3], std=[4, 5, 6], bgr_to_rgb=False)"
    normalisation = found(tmp_path, {"meta": {"cfg": text}, "state_dict": {**STATE, **buffers}})
    assert (normalisation.mean, normalisation.std, normalisation.order) == (OWN_MEAN, OWN_STD, ColorOrder.BGR)
    assert "says otherwise: mean 1, 2, 3" in normalisation.origin


def test_values_for_pictures_of_0_to_1_are_converted_and_that_is_said(tmp_path: Path) -> None:
    content = {"hyper_parameters": {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}, "state_dict": STATE}
    normalisation = found(tmp_path, content)
    assert normalisation.mean == pytest.approx(IMAGENET_MEAN)
    assert normalisation.std == pytest.approx(IMAGENET_STD)
    assert "times 255" in normalisation.origin
    given = found(tmp_path, STATE, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    assert given.mean == given.std == (127.5, 127.5, 127.5)
    assert given.origin.startswith("`mean` and `std` are given for pictures of 0..1, times 255")


def test_values_that_may_mean_either_scale_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"may mean pictures of 0\.\.1 or of 0\.\.255; say `mean` and `std`"):
        found(tmp_path, {"hyper_parameters": {"mean": [0.0, 0.0, 0.0], "std": [1.0, 1.0, 1.0]}, "state_dict": STATE})


def test_where_nobody_says_it_the_assumption_is_named(tmp_path: Path) -> None:
    normalisation = found(tmp_path, STATE)
    assert normalisation.assumed
    assert "assumed, the checkpoint does not say: ImageNet's" in normalisation.sentence()
    turned = found(tmp_path, STATE, channel_order=ColorOrder.BGR)
    assert (turned.mean, turned.order) == (IMAGENET_MEAN[::-1], ColorOrder.BGR)


def test_the_caller_is_believed_before_the_file_and_the_contradiction_is_said(tmp_path: Path) -> None:
    content = config(f"img_norm_cfg = dict({VALUES}, to_rgb=True)")
    normalisation = found(tmp_path, content, mean=(1.0, 2.0, 3.0), channel_order=ColorOrder.BGR)
    assert (normalisation.mean, normalisation.std, normalisation.order) == ((1.0, 2.0, 3.0), OWN_STD, ColorOrder.BGR)
    assert "`mean` is given" in normalisation.origin
    assert "says RGB" in normalisation.origin


@pytest.mark.parametrize(
    "values",
    ["[1] * 1000000000", "[[x for x in [1] * 16] for y in [1] * 16]", "[x for x in [1] * 17]", "[1] * -5", "[1] * 2.5"],
)
def test_a_text_cannot_make_long_lists(tmp_path: Path, values: str) -> None:
    normalisation = found(tmp_path, config(f"img_norm_cfg = dict(mean={values}, std={values})"))
    assert "img_norm_cfg.mean in meta.config cannot be read" in normalisation.origin


def test_what_nests_without_end_is_no_word(tmp_path: Path) -> None:
    deep: list[Any] = []
    for _ in range(200):
        deep = [deep]
    content = {"format": deep, "type": deep, "dataset": deep, "mean": list(OWN_MEAN), "std": list(OWN_STD)}
    assert found(tmp_path, {**content, "state_dict": STATE}).mean == OWN_MEAN


def test_means_of_something_else_are_not_taken(tmp_path: Path) -> None:
    normalisation = found(tmp_path, {"scores": {"mean": [1.0, 2.0, 3.0], "std": [0.0, 0.0, 0.0]}, "state_dict": STATE})
    assert (normalisation.mean, normalisation.assumed) == (IMAGENET_MEAN, True)
