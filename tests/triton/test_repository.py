"""Model repositories, read with Triton's own message types."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from google.protobuf import text_format  # type: ignore[import-untyped] # its stubs are a package of their own

from afformer import assets
from afformer.files import sha256
from afformer.spec import METADATA_KEY, InputKind, ModelSpec, OutputKind
from afformer.tensorrt.engine_info import EngineInfo, json_path
from afformer.tensorrt.gpu import Gpu
from afformer.tensorrt.packages import Library
from tests.builders.cli import error_of, run
from tests.builders.tiny_onnx import SPEC, variants, write_tiny_onnx


def config_of(model: Path) -> Any:
    """The configuration, parsed as Triton does it: an unknown field or a wrong type is an error."""
    found = importlib.util.find_spec("tritonclient")
    assert found
    assert found.submodule_search_locations
    source = Path(found.submodule_search_locations[0]) / "grpc" / "model_config_pb2.py"  # its package would need grpc
    made = importlib.util.spec_from_file_location("model_config_pb2", source)
    assert made
    assert made.loader
    module = importlib.util.module_from_spec(made)
    made.loader.exec_module(module)
    return text_format.Parse((model / "config.pbtxt").read_text(), module.ModelConfig())


def engine(folder: Path, library: Library = Library.TENSORRT) -> Path:
    """A plan is not looked into, so any bytes will do."""
    plan = folder / "street.engine"
    plan.write_bytes(b"plan")
    beside = EngineInfo(SPEC, sha256(plan), library, "10.3.0", "12.6", Gpu("Orin", (8, 7)), "street.onnx", "1" * 64)
    json_path(plan).write_text(beside.to_json())
    return plan


def test_a_model_is_described_by_its_spec(tmp_path: Path) -> None:
    classes = ('road "wet"', "back\\slash", "straße 道", "tab\tand\nline")
    spec = dataclasses.replace(SPEC, classes=classes)
    write_tiny_onnx(tmp_path / "tiny.onnx", spec)
    assert run("triton", f"night={tmp_path / 'tiny.onnx'},workers=3,threads=2", "-o", tmp_path / "repo").exit_code == 0
    night = tmp_path / "repo" / "night"
    config = config_of(night)
    assert (config.name, config.platform, config.max_batch_size) == ("night", "onnxruntime_onnx", 0)
    (image,), (logits,) = config.input, config.output
    assert (image.name, image.data_type, list(image.dims)) == ("image", 11, [1, 3, 64, 96])
    assert (logits.name, list(logits.dims)) == ("logits", [1, 4, 8, 12])
    assert (config.instance_group[0].count, config.instance_group[0].kind) == (3, 2)
    assert config.parameters["intra_op_thread_count"].string_value == "2"
    assert ModelSpec.from_json(config.parameters[METADATA_KEY].string_value) == spec
    assert config.model_warmup[0].inputs["image"].dims == [1, 3, 64, 96]
    labels = (night / logits.label_filename).read_text().splitlines()
    assert labels == ['road "wet"', "back\\slash", "straße 道", "tab and line"]
    assert (night / "1" / "model.onnx").read_bytes() == (tmp_path / "tiny.onnx").read_bytes()


@pytest.mark.parametrize("kind", variants())
def test_every_kind_of_model_has_its_tensors(tmp_path: Path, kind: str) -> None:
    spec = variants()[kind]
    write_tiny_onnx(tmp_path / "tiny.onnx", spec)
    assert run("triton", tmp_path / "tiny.onnx", "-o", tmp_path / "repo").exit_code == 0
    config = config_of(tmp_path / "repo" / "tiny")
    session = onnxruntime.InferenceSession(tmp_path / "tiny.onnx", providers=["CPUExecutionProvider"])
    types = {"tensor(float)": 11, "tensor(uint8)": 2}
    for ours, theirs in ((config.input[0], session.get_inputs()[0]), (config.output[0], session.get_outputs()[0])):
        assert (ours.name, list(ours.dims), ours.data_type) == (theirs.name, theirs.shape, types[theirs.type])


def test_an_engine_is_a_plan_on_a_gpu(tmp_path: Path) -> None:
    assert run("triton", engine(tmp_path), "-o", tmp_path / "repo").exit_code == 0
    config = config_of(tmp_path / "repo" / "street")
    assert (config.platform, config.instance_group[0].kind) == ("tensorrt_plan", 1)
    assert (tmp_path / "repo" / "street" / "1" / "model.plan").read_bytes() == b"plan"


def test_triton_may_gather_requests_for_a_model_of_any_batch(tmp_path: Path) -> None:
    line = ("triton", f"street={assets.MODEL}", "-o", tmp_path / "repo", "--max-batch", 8, "--max-wait-ms", 1.5)
    assert run(*line).exit_code == 0
    config = config_of(tmp_path / "repo" / "street")
    assert (config.max_batch_size, list(config.input[0].dims)) == (8, [3, 360, 480])
    assert config.dynamic_batching.max_queue_delay_microseconds == 1500
    session = onnxruntime.InferenceSession(
        tmp_path / "repo" / "street" / "1" / "model.onnx", providers=["CPUExecutionProvider"]
    )
    assert isinstance(session.get_inputs()[0].shape[0], str)
    rows = np.random.default_rng(1).normal(size=(2, 3, 360, 480)).astype(np.float32)
    original = onnxruntime.InferenceSession(assets.MODEL, providers=["CPUExecutionProvider"])
    expected = [original.run(None, {"image": row[None]})[0][0] for row in rows]
    np.testing.assert_allclose(session.run(None, {"image": rows})[0], expected, atol=1e-3)


def test_pictures_go_through_an_ensemble_of_its_steps(tmp_path: Path) -> None:
    write_tiny_onnx(
        tmp_path / "tiny.onnx", dataclasses.replace(SPEC, input=InputKind.UINT8, output=OutputKind.CLASSMAP)
    )
    result = run("triton", tmp_path / "tiny.onnx", "-o", tmp_path / "repo", "--pictures", "--fit", "pad", "--json")
    repo = tmp_path / "repo"
    assert json.loads(result.stdout)["models"] == ["tiny", "tiny_classmap", "tiny_decode", "tiny_picture"]
    configs = {folder.name: config_of(folder) for folder in repo.iterdir()}
    tensors = {
        name: {tensor.name: tensor.data_type for tensor in (*config.input, *config.output)}
        for name, config in configs.items()
    }
    ensemble, known = configs["tiny_picture"], {"picture": 13}
    for step in ensemble.ensemble_scheduling.step:  # each input is there when it is needed, and of the same type
        for own, common in step.input_map.items():
            assert known[common] == tensors[step.model_name][own]
        known |= {common: tensors[step.model_name][own] for own, common in step.output_map.items()}
    assert known["classes"] == tensors["tiny_picture"]["classes"]
    assert configs["tiny_decode"].parameters["fit"].string_value == "pad"
    assert (repo / "tiny_picture" / "1").is_dir()


def test_what_triton_cannot_run_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    write_tiny_onnx(tmp_path / "three.onnx", dataclasses.replace(SPEC, batch=3))
    (tmp_path / "rtx").mkdir()
    refused = {
        (assets.CHECKPOINT,): "is not a model that Triton runs",
        (tmp_path / "three.onnx", "--pictures"): "has a batch of 3, and --pictures needs 1",
        (tmp_path / "three.onnx", "--max-batch", "8"): "has a fixed batch of 3",
        (engine(tmp_path), "--max-batch", "8"): "whose batch is fixed",
        (engine(tmp_path), "--device", "cpu"): "--device cpu: an engine runs on its GPU",
        (engine(tmp_path / "rtx", Library.TENSORRT_RTX),): "Triton runs those of TensorRT alone",
        (tmp_path / "missing.onnx",): "missing.onnx",
        (f"a={assets.MODEL}", f"a_decode={assets.MODEL}", "--pictures"): "is taken by the steps of another model",
    }
    for arguments, reason in refused.items():
        assert reason in error_of(run("triton", *arguments, "-o", tmp_path / "repo"))
        assert not (tmp_path / "repo").exists()
    assert not list(tmp_path.glob(".afformer*"))


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    assert "is not empty" in error_of(run("triton", assets.MODEL, "-o", tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
