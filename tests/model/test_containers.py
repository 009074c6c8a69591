"""Where trainers put weights: the same network must come out of every file, and what is left out must be said."""

from __future__ import annotations

import argparse
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from afformer.errors import CheckpointError
from afformer.model.checkpoint import Checkpoint, load_checkpoint
from afformer.model.choices import CheckpointOptions, Weights
from tests.builders.networks import official_state, random_network

NETWORK, AVERAGE = random_network(), random_network(seed=1)
RAW, EMA = official_state(NETWORK), official_state(AVERAGE)
State = dict[str, Any]


def prefixed(prefix: str, state: State = RAW) -> State:
    return {prefix + name: value for name, value in state.items()}


def saved(path: Path, content: Any) -> Path:
    torch.save(content, path)
    return path


def same(checkpoint: Checkpoint, network: torch.nn.Module) -> bool:
    expected = network.state_dict()
    return all(torch.equal(tensor, expected[name]) for name, tensor in checkpoint.state.items())


def fsdp(state: State) -> State:
    return {
        f"_fsdp_wrapped_module.{n.replace('backbone.', 'backbone._fsdp_wrapped_module.')}": t for n, t in state.items()
    }


CONTAINERS: dict[str, Callable[[], Any]] = {
    "nested dictionaries": lambda: {"checkpoint": {"trainer": {"weights": RAW}}},
    "lightning, net": lambda: {"state_dict": {**prefixed("net."), "criterion.weight": torch.ones(5)}, "epoch": 3},
    "lightning, compiled": lambda: {"state_dict": prefixed("model._orig_mod.")},
    "student and criterion": lambda: {"state_dict": {**prefixed("student."), "criterion.weight": torch.ones(5)}},
    "compiled below": lambda: {n.replace("backbone.", "backbone._orig_mod."): t for n, t in RAW.items()},
    "fsdp": lambda: {"model": fsdp(RAW)},
    "deepspeed": lambda: {"module": RAW, "dp_world_size": 2},
    "data parallel twice": lambda: {"state_dict": prefixed("module.module.")},
    "tuple": lambda: (RAW, {"epoch": 3}),
    "list in a dictionary": lambda: {"models": [RAW]},
    "numpy": lambda: {"state_dict": {name: tensor.numpy() for name, tensor in RAW.items()}},
    "extra state": lambda: {"state_dict": {**RAW, "backbone._extra_state": {"a": 1}, "_extra_state": None}},
    "auxiliary head": lambda: {"state_dict": {**RAW, "auxiliary_head.conv_seg.weight": torch.ones(5, 3, 1, 1)}},
    "split in two": lambda: {
        part: {n.removeprefix(f"{part}."): t for n, t in RAW.items() if n.startswith(part)}
        for part in ("backbone", "decode_head")
    },
    "encoder and decoder": lambda: {
        "state_dict": {
            n.replace("backbone.", "model.encoder.").replace("decode_head.", "model.decoder."): t
            for n, t in RAW.items()
        }
    },
    "encoder and decoder apart": lambda: {
        new: {n.removeprefix(f"{old}."): t for n, t in RAW.items() if n.startswith(old)}
        for old, new in (("backbone", "encoder"), ("decode_head", "decoder"))
    },
    "head": lambda: {"state_dict": {n.replace("decode_head.", "head."): t for n, t in RAW.items()}},
    "our names, wrapped": lambda: {"state_dict": prefixed("model.", dict(NETWORK.state_dict()))},
    "whole network": lambda: {"args": argparse.Namespace(lr=1), "state": {"net": RAW}},
}


@pytest.mark.parametrize("name", CONTAINERS)
def test_the_network_is_found_wherever_it_lies(tmp_path: Path, name: str) -> None:
    assert same(load_checkpoint(saved(tmp_path / "a.pth", CONTAINERS[name]())), NETWORK)


def test_the_form_is_told_by_the_content_not_by_the_suffix(tmp_path: Path) -> None:
    save_file({k: v.clone().contiguous() for k, v in prefixed("model.").items()}, tmp_path / "a.pth")
    assert same(load_checkpoint(tmp_path / "a.pth"), NETWORK)
    assert same(load_checkpoint(saved(tmp_path / "b.safetensors", RAW)), NETWORK)


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_a_plain_pickle_of_arrays_is_read(tmp_path: Path, protocol: int) -> None:
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps({"model": {name: tensor.numpy() for name, tensor in RAW.items()}}, protocol))
    assert same(load_checkpoint(path), NETWORK)


def test_a_plain_pickle_of_tensors_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps({"model": RAW}))
    with pytest.raises(CheckpointError, match=r"a pickle of tensors without torch\.save; load it where it was made"):
        load_checkpoint(path)


def test_what_lies_beside_the_network_is_named(tmp_path: Path) -> None:
    beside = {"auxiliary_head.conv_seg.weight": torch.ones(5, 3, 1, 1), "criterion.weight": torch.ones(5)}
    found = load_checkpoint(saved(tmp_path / "a.pth", {"state_dict": {**RAW, **beside}}))
    assert found.weights == "under state_dict; left out: auxiliary_head, criterion"


def mmcv_ema(state: State = EMA) -> State:
    return {f"ema_{name.replace('.', '_')}": tensor for name, tensor in state.items()}


BOTH: dict[str, Callable[[], Any]] = {
    "timm": lambda: {"state_dict": RAW, "state_dict_ema": EMA},
    "ema": lambda: {"model": RAW, "ema": EMA},
    "model_ema": lambda: {"model": RAW, "model_ema": EMA},
    "ema_state_dict": lambda: {"state_dict": RAW, "ema_state_dict": EMA},
    "mmcv": lambda: {"state_dict": {**RAW, **mmcv_ema()}},
    "torch": lambda: {"model": RAW, "best": {"n_averaged": torch.tensor(5), **prefixed("module.", EMA)}},
    "lightning prefixes": lambda: {"state_dict": {**prefixed("net."), **prefixed("net_ema.", EMA)}},
    "lightning callback": lambda: {
        "state_dict": prefixed("net."),
        "callbacks": {"EMA": {"weights": prefixed("net.", EMA)}},
    },
    "lightning averaging": lambda: {"state_dict": prefixed("net.", EMA), "current_model_state": prefixed("net.")},
    "mmcv swaps them at the end of an epoch": lambda: {
        "meta": {
            "config": "runner = dict(type='EpochBasedRunner')\nx = [dict(type='ExpMomentumEMAHook', priority=49)]"
        },
        "state_dict": {**EMA, **mmcv_ema(RAW)},
    },
    "mmcv saves before it swaps them": lambda: {
        "meta": {"config": "runner = dict(type='EpochBasedRunner')\ncustom_hooks = [dict(type='EMAHook')]"},
        "state_dict": {**RAW, **mmcv_ema()},
    },
    "mmengine swaps them": lambda: {
        "meta": {"mmengine_version": "0.10"},
        "state_dict": EMA,
        "ema_state_dict": {"steps": torch.tensor(5), **prefixed("module.")},
    },
}


@pytest.mark.parametrize("name", BOTH)
def test_of_raw_and_averaged_weights_the_average_is_taken_unless_told_otherwise(tmp_path: Path, name: str) -> None:
    path = saved(tmp_path / "a.pth", BOTH[name]())
    average = load_checkpoint(path)
    assert same(average, AVERAGE)
    assert average.weights.startswith("the moving average under ")
    assert "not taken: the raw weights " in average.weights
    assert "(`weights=raw`)" in average.weights
    raw = load_checkpoint(path, CheckpointOptions(weights=Weights.RAW))
    assert same(raw, NETWORK)
    assert "as `weights=raw` says" in raw.weights


def test_an_average_alone_is_called_that_and_one_that_is_not_there_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.pth", {"n_averaged": torch.tensor(5), **prefixed("module.", EMA)})
    assert load_checkpoint(path).weights.startswith("the moving average")
    with pytest.raises(CheckpointError, match="holds no raw weights, only the moving average"):
        load_checkpoint(path, CheckpointOptions(weights=Weights.RAW))


def test_the_student_is_taken_and_the_teacher_named(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.pth", {"state_dict": {**prefixed("student."), **prefixed("teacher.", EMA)}})
    student = load_checkpoint(path)
    assert same(student, NETWORK)
    assert "not taken: the teacher under state_dict.teacher" in student.weights
    assert same(load_checkpoint(path, CheckpointOptions(weights=Weights.EMA)), AVERAGE)


def test_networks_that_nothing_tells_apart_are_refused_and_listed(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.pth", {"first": RAW, "second": EMA})
    with pytest.raises(CheckpointError, match=r"several networks .* under first, .* under second"):
        load_checkpoint(path)


def test_what_is_refused_is_described(tmp_path: Path) -> None:
    state: dict[str, Tensor] = {"layer.weight": torch.zeros(2, 3)}
    with pytest.raises(
        CheckpointError, match=r"the keys epoch, net with 1 tensors such as net\.layer\.weight \(2, 3\)"
    ):
        load_checkpoint(saved(tmp_path / "a.pth", {"epoch": 3, "net": state}))


def test_an_average_of_the_parameters_alone_takes_the_statistics_of_the_raw_weights(tmp_path: Path) -> None:
    parameters = {name: tensor for name, tensor in EMA.items() if "running_" not in name and "num_batches" not in name}
    found = load_checkpoint(saved(tmp_path / "a.pth", {"model": RAW, "model_ema": parameters}))
    for name, tensor in found.state.items():
        assert torch.equal(tensor, (NETWORK if "running_" in name else AVERAGE).state_dict()[name])
    statistics = sum("running_" in name for name in RAW)
    assert f"{statistics} tensors that it lacks are the raw weights'" in found.weights


def test_an_average_without_names_is_said_and_cannot_be_chosen(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.pth", {"model": RAW, "ema": {"decay": 0.9, "shadow_params": list(EMA.values())}})
    found = load_checkpoint(path)
    assert same(found, NETWORK)
    assert "the moving average under ema.shadow_params has no names and cannot be taken" in found.weights
    with pytest.raises(CheckpointError, match=r"no moving average with names \(its tensors under ema\.shadow_params"):
        load_checkpoint(path, CheckpointOptions(weights=Weights.EMA))


def test_a_backbone_never_gets_the_head_of_another_network(tmp_path: Path) -> None:
    backbone = {name: tensor for name, tensor in EMA.items() if name.startswith("backbone.")}
    assert same(load_checkpoint(saved(tmp_path / "a.pth", {"model": RAW, "pretrained": backbone})), NETWORK)
    alone = {"model": {**backbone, "neck.weight": torch.ones(3)}}
    with pytest.raises(CheckpointError, match="only the backbone, beside neck, and no segmentation head"):
        load_checkpoint(saved(tmp_path / "b.pth", alone))


def test_a_variance_below_0_is_refused_by_name(tmp_path: Path) -> None:
    name = "backbone.stem.0.bn.running_var"
    with pytest.raises(CheckpointError, match=r"1 negative variance, .*: stem\.0\.norm\.running_var"):
        load_checkpoint(saved(tmp_path / "a.pth", {**RAW, name: -RAW[name]}))
