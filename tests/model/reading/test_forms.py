from __future__ import annotations

import argparse
import collections
import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from afformer.errors import CheckpointError
from afformer.model.files import open_checkpoint_file
from afformer.model.reading.objects import Placeholder
from afformer.model.reading.tensors import StoredTensor
from tests.builders.checkpoint_files import (
    archive,
    legacy,
    number,
    numbers,
    old_tar,
    old_tar_with_a_view,
    one,
    storage,
    tensor,
    text,
    written,
)

WHOLE = torch.arange(24.0).reshape(2, 3, 4)
STATE = {"whole": WHOLE, "turned": WHOLE.permute(2, 0, 1), "part": WHOLE[1, 1:, 2], "scalar": torch.tensor(2.5)}


def weights(path: Path) -> dict[str, Tensor]:
    """The tensors of the dictionary in the file, read."""
    with open_checkpoint_file(path) as (content, _):
        return {name: found.weights() for name, found in content.items() if isinstance(found, StoredTensor)}


def assert_same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert list(found) == list(expected)
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value.float(), rtol=0, atol=0)


def save_zip(state: Any, path: Path) -> None:
    torch.save(state, path)


def save_zip_newest_pickle(state: Any, path: Path) -> None:
    torch.save(state, path, pickle_protocol=5)


def save_zip_oldest_pickle(state: Any, path: Path) -> None:
    torch.save(state, path, pickle_protocol=1)


def save_legacy(state: Any, path: Path) -> None:
    torch.save(state, path, _use_new_zipfile_serialization=False)


def save_legacy_newest_pickle(state: Any, path: Path) -> None:
    torch.save(state, path, _use_new_zipfile_serialization=False, pickle_protocol=4)


def save_tar(state: Any, path: Path) -> None:
    written(path, old_tar(state))


def save_safetensors(state: Any, path: Path) -> None:
    save_file({name: value.clone().contiguous() for name, value in state.items()}, path, {"who": "me"})


FORMS = [
    *(save_zip, save_zip_newest_pickle, save_zip_oldest_pickle),
    *(save_legacy, save_legacy_newest_pickle, save_tar, save_safetensors),
]


@pytest.mark.parametrize("save", FORMS)
@pytest.mark.parametrize("name", ["a.pth", "a.safetensors", "a"])
def test_every_form_gives_its_tensors_whatever_the_name_of_the_file(tmp_path: Path, save: Any, name: str) -> None:
    save(STATE, tmp_path / name)
    found = weights(tmp_path / name)
    assert_same({key: found[key] for key in STATE}, STATE)


@pytest.mark.filterwarnings("ignore")
def test_the_tar_form_under_test_is_the_one_that_torch_reads(tmp_path: Path) -> None:
    path = written(tmp_path / "a.pth", old_tar(STATE))
    assert_same(torch.load(path, weights_only=False), STATE)


@pytest.mark.parametrize("save", [save_zip, save_legacy])
@pytest.mark.parametrize(
    "dtype", [torch.float16, torch.bfloat16, torch.float64, torch.float8_e4m3fn, torch.float8_e5m2]
)
def test_floating_point_numbers_of_any_width_become_float32(tmp_path: Path, save: Any, dtype: torch.dtype) -> None:
    state = {"a": torch.tensor([-1.5, 0.25, 3.0]).to(dtype)}
    save(state, tmp_path / "a.pth")
    assert_same(weights(tmp_path / "a.pth"), state)


@pytest.mark.parametrize("order", ["little", "big"])
def test_files_of_either_byte_order_are_read(tmp_path: Path, order: str) -> None:
    records = {"0": np.arange(16, dtype=">f4" if order == "big" else "<f4").tobytes()}
    path = written(tmp_path / "a.pth", archive(one(tensor()), records, byte_order=order))
    assert_same(weights(path), {"x": torch.arange(16.0)})


@pytest.mark.parametrize("kind", ["torch.cuda\nFloatStorage", "torch\nFloatStorage"])
def test_tensors_that_were_on_a_gpu_are_read_without_one(tmp_path: Path, kind: str) -> None:
    record = np.arange(16, dtype="<f4").tobytes()
    path = written(tmp_path / "a.pth", archive(one(tensor(storage(kind, device="cuda:3"))), {"0": record}))
    assert_same(weights(path), {"x": torch.arange(16.0)})


def quantized() -> Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch is about to drop them; files that hold them stay
        return torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8)


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 3, 1)
        self.norm = nn.BatchNorm2d(3)
        self.register_buffer("scratch", torch.ones(2), persistent=False)


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = Block(), Block()
        self.scale = nn.Parameter(torch.tensor([2.0]))


@pytest.mark.parametrize("save", [save_zip, save_legacy])
@pytest.mark.parametrize("wrapped", [False, True])
def test_a_network_that_was_pickled_whole_gives_its_state_dict(tmp_path: Path, save: Any, wrapped: bool) -> None:
    network = Network()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the legacy form stores the source code where it finds it
        save({"model": network} if wrapped else network, tmp_path / "a.pth")
    with open_checkpoint_file(tmp_path / "a.pth") as (content, _):
        found = content["model"] if wrapped else content
        expected = network.state_dict()
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            if value.is_floating_point():
                assert torch.equal(found[name].weights(), value)


def test_parameters_subclasses_and_arrays_are_tensors_too(tmp_path: Path) -> None:
    parameter = nn.Parameter(torch.arange(3.0))
    parameter.note = "an attribute"  # type: ignore[attr-defined]
    array = np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3))

    class OnDevice:
        def __reduce__(self) -> Any:
            return torch._utils._rebuild_device_tensor_from_numpy, (array, torch.float32, "xla:0", False)

    torch.save({"parameter": parameter, "buffer": nn.Buffer(torch.ones(2)), "array": OnDevice()}, tmp_path / "a.pth")
    expected = {"parameter": torch.arange(3.0), "buffer": torch.ones(2), "array": torch.arange(6.0).reshape(2, 3)}
    assert_same(weights(tmp_path / "a.pth"), expected)


def test_parameters_as_pytorch_0_3_wrote_them_are_read(tmp_path: Path) -> None:
    parameter = b"ctorch.nn.parameter\nParameter\n" + tensor() + b"\x85R(\x88\x89Ntb"
    path = written(tmp_path / "a.pth", archive(one(parameter), {"0": np.arange(16, dtype="<f4").tobytes()}))
    assert_same(weights(path), {"x": torch.arange(16.0)})


def test_what_training_stores_beside_the_tensors_does_not_matter(tmp_path: Path) -> None:
    network = Network()
    optimizer = torch.optim.Adam(network.parameters())
    network.first.conv(torch.zeros(1, 2, 4, 4)).sum().backward()
    optimizer.step()
    content = {
        "optimizer": optimizer.state_dict(),
        "hyper_parameters": argparse.Namespace(rate=0.1, folder=tmp_path),
        "history": collections.defaultdict(list, loss=[np.float64(1.5), np.array([1, 2])], seen={1, "two"}),
        "rng": torch.get_rng_state(),
        "sizes": torch.Size([1, 2]),
        "raw": bytearray(b"\xff\0"),
        "whole": (1 << 70, -1.5, None, True, frozenset([3]), {(1, 2): 3}),
        "quantized": quantized(),
        "sparse": torch.eye(2).to_sparse(),
        "state_dict": network.state_dict(),
    }
    for save in (save_zip, save_legacy):
        save(content, tmp_path / "a.pth")
        with open_checkpoint_file(tmp_path / "a.pth") as (found, _):
            assert torch.equal(found["state_dict"]["first.conv.weight"].weights(), network.first.conv.weight)
            assert found["history"]["loss"][0] == np.float64(1.5)
            assert found["raw"] == b"\xff\0"
            assert found["sizes"] == (1, 2)
            assert isinstance(found["hyper_parameters"], Placeholder)
            assert found["whole"][:4] == (1 << 70, -1.5, None, True)
            assert found["quantized"].problem == "is quantized"
            assert found["sparse"].problem == "is sparse"


def test_views_of_one_storage_are_read_once(tmp_path: Path) -> None:
    torch.save({str(index): WHOLE.flatten()[index : index + 3] for index in range(5)}, tmp_path / "a.pth")
    with open_checkpoint_file(tmp_path / "a.pth") as (content, _):
        found = [value.weights() for value in content.values()]
    assert len({value.untyped_storage().data_ptr() for value in found}) == 1
    assert [value[0].item() for value in found] == [0, 1, 2, 3, 4]


def test_legacy_views_of_a_storage_lie_where_they_say(tmp_path: Path) -> None:
    view = b"(" + text("view") + number(4) + number(8) + b"t"
    stored = storage().removesuffix(b"tQ") + view + b"tQ"
    content = legacy(
        one(tensor(stored, 0, (8,))), ["0"], (16).to_bytes(8, "little") + np.arange(16, dtype="<f4").tobytes()
    )
    assert_same(weights(written(tmp_path / "a.pth", content)), {"x": torch.arange(4.0, 12.0)})


def test_views_of_the_tar_form_lie_where_they_say_and_inside(tmp_path: Path) -> None:
    path = written(tmp_path / "a.pth", old_tar_with_a_view(4, 8))
    assert_same(weights(path), {"x": torch.arange(4.0, 12.0)})
    with pytest.raises(CheckpointError, match="a view lies outside its storage"):
        weights(written(tmp_path / "b.pth", old_tar_with_a_view(9, 8)))


def test_numbers_that_are_no_weights_say_so(tmp_path: Path) -> None:
    pushed = {
        "complex": tensor(storage("torch\nComplexFloatStorage", elements=8), size=(8,)),
        "qint8": tensor(storage("torch\nQInt8Storage", elements=16)),
        "int64": tensor(storage("torch\nLongStorage", elements=8), size=(8,)),
        "repeated": tensor(size=(1000,), stride=(0,)),
        "empty": tensor(size=(0,)),
        "negative": tensor()[: -len(b"tR")] + b"}" + text("neg") + b"\x88s" + b"tR",
    }
    for name, push in pushed.items():
        path = written(tmp_path / f"{name}.pth", archive(one(push)))
        with open_checkpoint_file(path) as (content, _):
            assert content["x"].problem, name


def test_pickles_of_python_2_are_read(tmp_path: Path) -> None:
    old = b"(dp0\nS'it\\'s \\xc3\\xa9'\np1\nL12L\nsS'n'\nF1.5\nsVu\\u00e9\nI01\ns."
    with open_checkpoint_file(written(tmp_path / "a.pth", archive(old))) as (content, _):
        assert content == {"it's é": 12, "n": 1.5, "ué": True} == pickle.loads(old, encoding="utf-8")


def test_numpy_arrays_keep_shape_order_and_type(tmp_path: Path) -> None:
    arrays = [
        np.arange(6, dtype=">i2").reshape(2, 3),
        np.asfortranarray(np.eye(2)[:, ::-1]),
        np.array(["text"]),
        np.array(3.5),
    ]
    for protocol in (2, 5):
        torch.save({"arrays": arrays}, tmp_path / "a.pth", pickle_protocol=protocol)
        with open_checkpoint_file(tmp_path / "a.pth") as (content, _):
            found = [value.array for value in content["arrays"]]
        for index in (0, 1, 3):
            np.testing.assert_array_equal(found[index], arrays[index])
        assert found[2] is None


def test_dictionary_keys_that_are_no_text_are_kept_apart(tmp_path: Path) -> None:
    torch.save({1: "a", (1, 2): "b", "x": "c"}, tmp_path / "a.pth")
    with open_checkpoint_file(tmp_path / "a.pth") as (content, _):
        assert [getattr(key, "value", key) for key in content] == [1, (1, 2), "x"]
        assert content["x"] == "c"


def test_sizes_survive_numbers_of_any_opcode(tmp_path: Path) -> None:
    path = written(tmp_path / "a.pth", archive(one(numbers((0, 255, 65535, -1, 2**40)))))
    with open_checkpoint_file(path) as (content, _):
        assert content["x"] == (0, 255, 65535, -1, 2**40)
