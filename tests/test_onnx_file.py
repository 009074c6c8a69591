from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from afformer.errors import BackendError, SpecError
from afformer.onnx_file import read_onnx_file, spec_of, write_spec
from afformer.spec import Precision
from tests.builders.tiny_onnx import SPEC, without_metadata, write_tiny_onnx


def test_a_model_is_read_with_its_spec(tmp_path: Path) -> None:
    model, spec = read_onnx_file(write_tiny_onnx(tmp_path / "model.onnx"))
    assert spec == SPEC
    assert model.graph.output[0].name == "logits"


def test_a_spec_takes_the_place_of_the_one_before_and_other_metadata_stays(tmp_path: Path) -> None:
    model, _ = read_onnx_file(write_tiny_onnx(tmp_path / "model.onnx"))
    model.metadata_props.add(key="author", value="somebody")
    changed = dataclasses.replace(SPEC, precision=Precision.INT8)
    write_spec(model, changed)
    assert spec_of(model, "here") == changed
    assert sorted(entry.key for entry in model.metadata_props) == ["afformer_spec", "author"]


def test_what_is_not_a_model_of_this_package_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_text("no model at all" * 50)
    with pytest.raises(BackendError, match=r"none\.onnx: no such model file"):
        read_onnx_file(tmp_path / "none.onnx")
    with pytest.raises(BackendError, match=r"text\.onnx: cannot be read as an ONNX model"):
        read_onnx_file(tmp_path / "text.onnx")
    with pytest.raises(SpecError, match=r"model\.onnx: has no 'afformer_spec'"):
        read_onnx_file(without_metadata(write_tiny_onnx(tmp_path / "model.onnx")))


def test_a_checkpoint_is_sent_to_the_export(tmp_path: Path) -> None:
    (tmp_path / "w.pth").touch()
    with pytest.raises(BackendError, match=r"w\.pth: is a checkpoint.*`afformer-cli export .*w\.pth -o .*w\.onnx"):
        read_onnx_file(tmp_path / "w.pth")
