from __future__ import annotations

import collections
import json
import os
import pickle
import signal
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from afformer import assets
from afformer.errors import CheckpointError, OutputError
from afformer.model.checkpoint import load_checkpoint, save_checkpoint
from afformer.model.network import VARIANTS, AFFormerConfig
from afformer.spec import IMAGENET_MEAN, IMAGENET_STD
from tests.builders.networks import official_state, random_network

NETWORK = random_network()
OFFICIAL = official_state(NETWORK)
pytestmark = pytest.mark.usefixtures("one_thread")
META = {"mmseg_version": "0.21.1", "epoch": 1, "iter": 160000}


def saved(path: Path, content: Any) -> Path:
    torch.save(content, path)
    return path


def assert_same_network(path: Path) -> None:
    network = load_checkpoint(path).build()
    image = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        torch.testing.assert_close(network(image), NETWORK(image))


class MessageHub:
    """Stands for what mmengine stores beside the tensors."""

    def __init__(self) -> None:
        self.log = collections.OrderedDict(loss=np.float64(0.5))
        self.history = [1, 2, 3]


class Bomb:
    """Runs code when it is unpickled by an ordinary loader."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return os.system, (f"touch {self.marker}",)


def test_official_file_gives_the_network_it_was_saved_from(tmp_path: Path) -> None:
    assert_same_network(saved(tmp_path / "a.pth", {"meta": META, "state_dict": OFFICIAL, "optimizer": {"state": {}}}))


@pytest.mark.parametrize("wrap", [lambda s: s, lambda s: {"state_dict": s}, lambda s: {"model": s}])
@pytest.mark.parametrize("prefix", ["", "module.", "module._orig_mod."])
def test_plain_and_wrapped_state_dicts_load_with_any_wrapper_prefix(tmp_path: Path, wrap: Any, prefix: str) -> None:
    assert_same_network(saved(tmp_path / "a.pth", wrap({prefix + name: t for name, t in OFFICIAL.items()})))


def test_mmengine_file_loads_without_running_what_its_objects_name(tmp_path: Path) -> None:
    content = {
        "meta": {"dataset_meta": {"CLASSES": ("a", "b", "c", "d", "e"), "PALETTE": [[i, i, i] for i in range(5)]}},
        "message_hub": MessageHub(),
        "param_schedulers": [{"last": np.float64(1.0)}],
        "state_dict": OFFICIAL,
    }
    path = saved(tmp_path / "a.pth", content)
    with pytest.raises(pickle.UnpicklingError):
        torch.load(path, weights_only=True)
    assert_same_network(path)
    checkpoint = load_checkpoint(path)
    assert checkpoint.classes == ("a", "b", "c", "d", "e")
    assert checkpoint.palette == tuple((i, i, i) for i in range(5))


def test_old_torch_format_and_half_precision_load(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    torch.save(OFFICIAL, path, _use_new_zipfile_serialization=False)
    assert_same_network(path)
    half = load_checkpoint(
        saved(tmp_path / "h.pth", {k: v.half() if v.is_floating_point() else v for k, v in OFFICIAL.items()})
    )
    assert all(tensor.dtype == torch.float32 for tensor in half.state.values())


def test_safetensors_with_official_names_load(tmp_path: Path) -> None:
    save_file({k: v.clone().contiguous() for k, v in OFFICIAL.items()}, tmp_path / "a.safetensors")
    assert_same_network(tmp_path / "a.safetensors")


def test_own_format_carries_names_and_colours_and_halves_the_size(tmp_path: Path) -> None:
    classes, palette = tuple("abcde"), tuple((i, 2 * i, 3 * i) for i in range(5))
    save_checkpoint(tmp_path / "own.safetensors", NETWORK, classes, palette)
    loaded = load_checkpoint(tmp_path / "own.safetensors")
    assert (loaded.classes, loaded.palette) == (classes, palette)
    for name, tensor in NETWORK.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            torch.testing.assert_close(loaded.state[name], tensor, rtol=1e-3, atol=1e-6)
    assert (tmp_path / "own.safetensors").stat().st_size < 2.2e6 * 2.2


@pytest.mark.parametrize("variant", VARIANTS)
@settings(max_examples=2, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(num_classes=st.integers(2, 200))
def test_variant_and_class_count_are_read_from_the_tensors(tmp_path: Path, variant: str, num_classes: int) -> None:
    path = saved(tmp_path / "a.pth", official_state(random_network(VARIANTS[variant], num_classes)))
    checkpoint = load_checkpoint(path)
    assert (checkpoint.config.name, checkpoint.num_classes) == (variant, num_classes)


def test_a_classifier_without_classes_is_refused(tmp_path: Path) -> None:
    none = {name: torch.zeros(0, *OFFICIAL[name].shape[1:]) for name in OFFICIAL if "conv_seg" in name}
    with pytest.raises(CheckpointError, match="its classifier has 0 classes"):
        load_checkpoint(saved(tmp_path / "a.pth", {**OFFICIAL, **none}))


@pytest.mark.parametrize("classes", [300, 30_000_000, 10**12])
def test_a_classifier_that_repeats_one_number_is_given_no_memory(tmp_path: Path, classes: int) -> None:
    repeated = {
        name: torch.zeros(1).expand(classes, *OFFICIAL[name].shape[1:]) for name in OFFICIAL if "conv_seg" in name
    }
    with pytest.raises(CheckpointError, match=r"head\.classify\.bias is larger than what the file holds of it"):
        load_checkpoint(saved(tmp_path / "a.pth", {**OFFICIAL, **repeated}))


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool, torch.complex64])
def test_weights_that_are_not_floating_point_are_refused(tmp_path: Path, dtype: torch.dtype) -> None:
    name = "decode_head.conv_seg.bias"
    with pytest.raises(
        CheckpointError, match=rf"head\.classify\.bias holds {str(dtype).removeprefix('torch.')} numbers"
    ):
        load_checkpoint(saved(tmp_path / "a.pth", {**OFFICIAL, name: OFFICIAL[name].to(dtype)}))


def test_more_tensors_than_a_network_can_have_are_not_compared_with_its_names(tmp_path: Path) -> None:
    one = torch.zeros(1)
    with pytest.raises(CheckpointError, match="20,001 tensors"):
        load_checkpoint(saved(tmp_path / "a.pth", {f"backbone.mhca_stages.{i}": one for i in range(20_001)}))


def test_missing_unexpected_and_misshapen_keys_are_all_listed(tmp_path: Path) -> None:
    state = dict(OFFICIAL)
    del state["backbone.stem.1.conv.weight"]
    state["decode_head.squeeze.gn.bias"] = torch.zeros(7)
    with pytest.raises(
        CheckpointError, match=r"1 missing key: stem\.1\.conv\.weight; 1 wrong shape: head\.norm\.bias \(7,\)"
    ):
        load_checkpoint(saved(tmp_path / "a.pth", state))
    with pytest.raises(CheckpointError, match=r"1 unexpected key: backbone\.stem\.9\.extra"):
        load_checkpoint(saved(tmp_path / "b.pth", {**OFFICIAL, "backbone.stem.9.extra": torch.zeros(1)}))


@pytest.mark.parametrize(("value", "place"), [(float("nan"), 0), (float("inf"), 2), (-float("inf"), 4)])
def test_tensors_that_are_not_finite_are_refused(tmp_path: Path, value: float, place: int) -> None:
    broken = OFFICIAL["decode_head.conv_seg.bias"].clone()
    broken[place] = value
    with pytest.raises(CheckpointError, match=r"not-finite tensor: head\.classify\.bias"):
        load_checkpoint(saved(tmp_path / "a.pth", {**OFFICIAL, "decode_head.conv_seg.bias": broken}))


def test_copies_of_a_shared_tensor_that_differ_are_refused(tmp_path: Path) -> None:
    name = "backbone.mhca_stages.1.mhca_blks.0.MHCA_layers.0.cpe.proj.bias"
    with pytest.raises(CheckpointError, match="1 shared tensor whose copies differ"):
        load_checkpoint(saved(tmp_path / "a.pth", {**OFFICIAL, name: OFFICIAL[name] + 1}))


def test_tensors_of_the_wrong_shape_are_not_looked_into_however_large_they_claim_to_be(tmp_path: Path) -> None:
    huge = torch.zeros(1).expand(10**6, 10**7)
    with pytest.raises(CheckpointError, match=r"wrong shape: head\.norm\.bias \(1000000, 10000000\)"):
        load_checkpoint(saved(tmp_path / "a.pth", {**OFFICIAL, "decode_head.squeeze.gn.bias": huge}))


@pytest.mark.parametrize(
    ("name", "tensor"),
    [("backbone.foo.num_batches_tracked", torch.zeros(())), ("decode_head.align.conv.weight", torch.zeros(3))],
)
def test_step_counters_and_the_unused_block_are_accounted_for_too(
    tmp_path: Path, name: str, tensor: torch.Tensor
) -> None:
    with pytest.raises(CheckpointError, match=f"unexpected key: {name}"):
        load_checkpoint(saved(tmp_path / "a.pth", {**OFFICIAL, name: tensor}))


def test_values_in_a_state_dict_that_are_no_tensors_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"not tensors in the network under state_dict: backbone\.extra"):
        load_checkpoint(saved(tmp_path / "a.pth", {"state_dict": {**OFFICIAL, "backbone.extra": 3}}))


@pytest.mark.parametrize(
    "palette",
    [list(np.full((5, 3), 1.5)), [[1, 2, 3, 4]] * 5, [[1, 2, 300]] * 5, [None] * 5, "abcde", 7],
)
def test_colours_that_are_none_are_taken_for_not_given(tmp_path: Path, palette: Any) -> None:
    content = {"meta": {"CLASSES": list("abcde"), "PALETTE": palette}, "state_dict": OFFICIAL}
    checkpoint = load_checkpoint(saved(tmp_path / "a.pth", content))
    assert (checkpoint.classes, checkpoint.palette) == (tuple("abcde"), None)


@pytest.mark.parametrize("name", ["two\nlines", "\x1b[2J", "half \ud800"])
def test_class_names_that_cannot_be_shown_are_taken_for_not_given(tmp_path: Path, name: str) -> None:
    state = {key: tensor.clone() for key, tensor in NETWORK.state_dict().items()}
    save_file(state, tmp_path / "a.safetensors", {"classes": json.dumps([name, *"abcd"])})
    assert load_checkpoint(tmp_path / "a.safetensors").classes is None


@pytest.mark.parametrize(
    "mean", ["[1e999, 0, 0]", "[" + "9" * 1000 + ", 0, 0]", "[[[1]], 0, 0]", '"' + "x" * 9999 + '"']
)
def test_a_strange_normalisation_is_refused_with_a_short_line(tmp_path: Path, mean: str) -> None:
    state = {key: tensor.clone() for key, tensor in NETWORK.state_dict().items()}
    save_file(state, tmp_path / "a.safetensors", {"mean": mean, "std": "[1, 1, 1]"})
    with pytest.raises(CheckpointError, match="its normalisation, mean") as error:
        load_checkpoint(tmp_path / "a.safetensors")
    assert len(str(error.value)) < 600


@pytest.mark.parametrize("text", ["road,car", "[" * 100_000])
def test_own_metadata_that_is_no_json_is_refused(tmp_path: Path, text: str) -> None:
    state = {name: tensor.clone() for name, tensor in NETWORK.state_dict().items()}
    save_file(state, tmp_path / "a.safetensors", {"classes": text})
    with pytest.raises(CheckpointError, match="is not JSON"):
        load_checkpoint(tmp_path / "a.safetensors")


@pytest.mark.parametrize("prefix", ["", "backbone."])
def test_backbone_without_head_says_so(tmp_path: Path, prefix: str) -> None:
    backbone = {prefix + k.removeprefix("backbone."): v for k, v in OFFICIAL.items() if k.startswith("backbone.")}
    with pytest.raises(CheckpointError, match=r"only the backbone \(ImageNet"):
        load_checkpoint(saved(tmp_path / "a.pth", backbone))


def test_another_architecture_is_named_as_such(tmp_path: Path) -> None:
    state = {f"layer{i}.conv.weight": torch.zeros(2) for i in range(30)}
    with pytest.raises(CheckpointError, match="not an AFFormer checkpoint"):
        load_checkpoint(saved(tmp_path / "a.pth", state))


def test_unknown_widths_list_the_known_variants(tmp_path: Path) -> None:
    config = AFFormerConfig("odd", (32, 64, 160, 224), (1, 2, 4, 2))
    with pytest.raises(CheckpointError, match=r"no known variant \(tiny: \(32, 64, 160, 216\)"):
        load_checkpoint(saved(tmp_path / "a.pth", official_state(random_network(config))))


@pytest.mark.parametrize("place", ["meta", "whole file", "plain pickle", "old format"])
def test_code_in_a_checkpoint_is_never_run(tmp_path: Path, place: str) -> None:
    marker, path = tmp_path / "exploded", tmp_path / "a.pth"
    if place == "meta":
        assert_same_network(saved(path, {"meta": {"bomb": Bomb(marker)}, "state_dict": OFFICIAL}))
    else:
        if place == "whole file":
            torch.save(Bomb(marker), path)
        elif place == "old format":
            torch.save(Bomb(marker), path, _use_new_zipfile_serialization=False)
        else:
            path.write_bytes(pickle.dumps({"state_dict": Bomb(marker)}))
        with pytest.raises(CheckpointError):
            load_checkpoint(path)
    assert not marker.exists()
    pickle.loads(pickle.dumps(Bomb(marker)))  # the bomb is a real one
    assert marker.exists()


def test_pickle_cannot_change_the_functions_that_it_calls(tmp_path: Path) -> None:
    rebuild = torch._utils._rebuild_tensor_v2
    before = rebuild.__defaults__
    path = tmp_path / "a.pth"
    pickled = b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\nN}X\x0c\x00\x00\x00__defaults__)s\x86b."
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/data.pkl", pickled)
        archive.writestr("a/version", "3\n")
    with pytest.raises(CheckpointError, match="tries to change _rebuild_tensor_v2"):
        load_checkpoint(path)
    assert rebuild.__defaults__ == before


def test_damaged_archive_directory_is_one_line(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.pth", OFFICIAL)
    content = bytearray(path.read_bytes())
    at = content.rfind(b"PK\x01\x02")
    content[at : at + 4] = b"XXXX"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="cannot be read as a PyTorch checkpoint"):
        load_checkpoint(path)


def test_tensors_of_exotic_types_beside_the_network_do_not_matter(tmp_path: Path) -> None:
    extra = {"optimizer": {"step": torch.zeros(3).to(torch.float8_e4m3fn), "count": torch.zeros(2, dtype=torch.uint16)}}
    state: dict[str, Any] = collections.defaultdict(list, OFFICIAL)
    assert_same_network(saved(tmp_path / "a.pth", {"state_dict": state, **extra}))


def test_compressed_archive_is_refused_before_it_grows(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.pth", OFFICIAL)
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(tmp_path / "b.pth", "w", zipfile.ZIP_DEFLATED) as target:
        for entry in source.infolist():
            target.writestr(entry.filename, source.read(entry) + bytes(10_000_000 if "data/0" in entry.filename else 0))
    with pytest.raises(CheckpointError, match="compressed archive"):
        load_checkpoint(tmp_path / "b.pth")


@pytest.mark.parametrize("kept", [0, 10, 5_000, 500_000])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_truncated_files_are_refused_with_one_line(tmp_path: Path, kept: int, suffix: str) -> None:
    whole = assets.CHECKPOINT if suffix == ".safetensors" else saved(tmp_path / "whole.pth", OFFICIAL)
    path = tmp_path / f"cut{suffix}"
    path.write_bytes(whole.read_bytes()[:kept])
    with pytest.raises(CheckpointError) as error:
        load_checkpoint(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [[1, 2, 3], {"state_dict": {}}, "text", None, {"epoch": 3}])
def test_files_without_tensors_are_refused(tmp_path: Path, content: Any) -> None:
    with pytest.raises(CheckpointError, match="holds no weights of a network"):
        load_checkpoint(saved(tmp_path / "a.pth", content))


def test_missing_file_and_folder_are_one_line(tmp_path: Path) -> None:
    for path in (tmp_path / "none.pth", tmp_path):
        with pytest.raises(CheckpointError, match="no such checkpoint file"):
            load_checkpoint(path)


def test_classes_come_from_the_named_data_set_then_the_file_and_never_from_their_number(tmp_path: Path) -> None:
    eleven = official_state(random_network(num_classes=11))
    own = {"meta": {"CLASSES": tuple("abcdefghijk"), "PALETTE": [[i, 0, 0] for i in range(11)]}, "state_dict": eleven}
    named = load_checkpoint(saved(tmp_path / "named.pth", own))
    plain = load_checkpoint(saved(tmp_path / "plain.pth", eleven))
    assert named.spec((64, 64)).classes == tuple("abcdefghijk")
    assert named.spec((64, 64)).dataset == "custom"
    assert named.spec((64, 64), "camvid").classes[0] == "Sky"
    assert (plain.spec((64, 64)).dataset, plain.spec((64, 64)).classes[10]) == ("custom", "class 10")
    assert load_checkpoint(saved(tmp_path / "five.pth", OFFICIAL)).spec((64, 64)).classes[4] == "class 4"
    with pytest.raises(CheckpointError, match=r"cityscapes has 19 classes, but .* has 11"):
        plain.spec((64, 64), "cityscapes")


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_saved_checkpoint_carries_its_classes_colours_and_normalisation(tmp_path: Path, suffix: str) -> None:
    path, classes, palette = tmp_path / f"own{suffix}", tuple("abcde"), tuple((i, 2 * i, 3 * i) for i in range(5))
    save_checkpoint(path, NETWORK, classes, palette, mean=(1.5, 2.5, 3.5), std=(10.0, 20.0, 30.0))
    spec = load_checkpoint(path).spec((64, 64))
    assert (spec.classes, spec.palette) == (classes, palette)
    assert (spec.mean, spec.std) == ((1.5, 2.5, 3.5), (10.0, 20.0, 30.0))


def test_float32_checkpoints_keep_every_bit(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "own.pth", NETWORK, tuple("abcde"), ((0, 0, 0),) * 5)
    found = load_checkpoint(tmp_path / "own.pth").state
    assert all(torch.equal(tensor, NETWORK.state_dict()[name]) for name, tensor in found.items())


def test_a_checkpoint_that_says_nothing_is_normalised_as_imagenet_is(tmp_path: Path) -> None:
    spec = load_checkpoint(saved(tmp_path / "a.pth", OFFICIAL)).spec((64, 64))
    assert (spec.mean, spec.std) == (IMAGENET_MEAN, IMAGENET_STD)


@pytest.mark.parametrize(
    "meta", [{"MEAN": [1, 2, 3]}, {"mean": [1, 2, 3], "std": [1, 2]}, {"MEAN": [1, 2, 3], "STD": [1, 0, 1]}]
)
def test_a_normalisation_that_cannot_be_used_is_refused(tmp_path: Path, meta: dict[str, Any]) -> None:
    with pytest.raises(CheckpointError, match=r"its normalisation, mean .* must be three numbers each") as caught:
        load_checkpoint(saved(tmp_path / "a.pth", {"meta": meta, "state_dict": OFFICIAL}))
    assert "\n" not in str(caught.value)


def test_a_name_that_says_no_known_format_is_refused_before_saving(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"model\.bin: checkpoints are written as \.pth or \.safetensors"):
        save_checkpoint(tmp_path / "model.bin", NETWORK, tuple("abcde"), ((0, 0, 0),) * 5)


def test_saving_where_nothing_can_be_written_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written"):
        save_checkpoint(tmp_path / "no" / "a.safetensors", NETWORK, tuple("abcde"), ((0, 0, 0),) * 5)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["tiny_ade20k_128x128", "base_cityscapes_128x256"])
def test_official_checkpoints_load_and_are_of_a_data_set_only_where_that_is_said(shared: Path, name: str) -> None:
    checkpoint = load_checkpoint(shared / "golden" / f"{name}.pth")
    variant, dataset, _ = name.split("_")
    assert checkpoint.config.name == variant
    assert checkpoint.spec((64, 64)).dataset == "custom"
    assert f"`dataset={dataset}`" in checkpoint.spec((64, 64)).provenance["classes"]
    assert checkpoint.spec((64, 64), dataset).dataset == dataset


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on the size of files")
@pytest.mark.parametrize("name", ["a.pth", "a.safetensors"])
def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path: Path, name: str) -> None:
    import resource

    network, before = random_network(AFFormerConfig.tiny(), 2), resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(OutputError, match=f"{name}: cannot be written"):
            save_checkpoint(tmp_path / name, network, ("a", "b"), ((1, 2, 3), (4, 5, 6)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert list(tmp_path.iterdir()) == []


def test_weights_that_float16_cannot_hold_are_saved_in_float32(tmp_path: Path) -> None:
    network = random_network()
    large, tiny = network.get_parameter("head.squeeze.weight"), network.get_parameter("head.classify.weight")
    with torch.no_grad():
        large[0] = 1e5
        tiny.mul_(1e-7)
    save_checkpoint(tmp_path / "a.safetensors", network, tuple("abcde"), ((0, 0, 0),) * 5)
    state = load_checkpoint(tmp_path / "a.safetensors").state
    assert torch.equal(state["head.squeeze.weight"], large)
    assert torch.equal(state["head.classify.weight"], tiny)
    rounded = network.get_parameter("stem.0.conv.weight").half().float()
    assert torch.equal(state["stem.0.conv.weight"], rounded)
