from __future__ import annotations

import collections
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch

from afformer import assets
from afformer.errors import ExportError, OutputError
from afformer.export import verification
from afformer.export.exporter import ExportOptions, ExportReport, export_checkpoint
from afformer.export.onnx_graph import FORBIDDEN
from afformer.model.checkpoint import load_checkpoint, save_checkpoint
from afformer.model.network import VARIANTS
from afformer.runtime.backends.registry import open_backend
from afformer.spec import METADATA_KEY, InputKind, ModelSpec, OutputKind, Precision
from tests.builders.fake_backend import FakeBackend
from tests.builders.networks import official_state, random_network


def open_model(path: Path) -> Any:
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return lambda image: session.run(None, {"image": image})[0]


def exported(
    folder: Path, options: ExportOptions, checkpoint: Path = assets.CHECKPOINT
) -> tuple[ExportReport, onnx.ModelProto]:
    report = export_checkpoint(checkpoint, folder / "model.onnx", options)
    return report, onnx.load(report.path)


def random_checkpoint(folder: Path, variant: str, num_classes: int) -> Path:
    path = folder / f"{variant}.safetensors"
    colours = tuple((i % 256, 0, 0) for i in range(num_classes))
    network = random_network(VARIANTS[variant], num_classes)
    save_checkpoint(path, network, tuple(f"c{i}" for i in range(num_classes)), colours)
    return path


def test_tiny_at_512_is_a_small_static_graph(tmp_path: Path) -> None:
    report, model = exported(tmp_path, ExportOptions((512, 512)), random_checkpoint(tmp_path, "tiny", 150))
    operators = collections.Counter(node.op_type for node in model.graph.node)
    assert report.nodes == len(model.graph.node) <= 450
    assert not operators.keys() & FORBIDDEN
    assert operators["Resize"] <= 2
    assert report.bytes == report.path.stat().st_size <= 9.5e6
    assert all(dim.dim_value > 0 for dim in model.graph.output[0].type.tensor_type.shape.dim)
    names = [node.name for node in model.graph.node]
    assert len(set(names)) == len(names)
    assert "stages.2.prototypes.filters.3.key/Conv" in names


@pytest.mark.parametrize(("variant", "size", "batch"), [("small", (65, 71), 1), ("base", (64, 96), 2)])
def test_exported_logits_are_those_of_pytorch(tmp_path: Path, variant: str, size: tuple[int, int], batch: int) -> None:
    checkpoint = random_checkpoint(tmp_path, variant, 9)
    report, _ = exported(tmp_path, ExportOptions(size, batch), checkpoint)
    image = np.random.default_rng(0).standard_normal((batch, 3, *size)).astype(np.float32)
    with torch.inference_mode():
        expected = load_checkpoint(checkpoint).build()(torch.from_numpy(image)).numpy()
    np.testing.assert_allclose(open_model(report.path)(image), expected, atol=1e-4)
    assert report.verification.max_abs is not None
    assert report.verification.pixel_agreement > 0.9995


@pytest.mark.parametrize("name", ["tiny_ade20k_128x128", "base_cityscapes_128x256"])
def test_exported_golden_checkpoints_give_the_official_logits(shared: Path, tmp_path: Path, name: str) -> None:
    golden = np.load(shared / "golden" / f"{name}.npz")
    options = ExportOptions(golden["input"].shape[2:])
    report, _ = exported(tmp_path, options, shared / "golden" / f"{name}.pth")
    assert np.abs(open_model(report.path)(golden["input"]) - golden["logits"]).max() <= 2e-5


def test_bytes_in_and_class_map_out_give_the_class_map_of_pytorch(tmp_path: Path) -> None:
    options = ExportOptions((90, 120), input=InputKind.UINT8, output=OutputKind.CLASSMAP)
    report, model = exported(tmp_path, options)
    classmap = open_model(report.path)(np.zeros((1, 90, 120, 3), np.uint8))
    assert (classmap.dtype, classmap.shape) == (np.uint8, (1, 90, 120))
    assert report.verification.max_abs is None
    assert report.verification.pixel_agreement >= 0.9995
    assert model.graph.output[0].name == "classmap"


def test_float16_model_is_half_the_size_keeps_a_float32_core_and_carries_its_spec(tmp_path: Path) -> None:
    report, model = exported(tmp_path, ExportOptions((96, 128), precision=Precision.FP16, dataset="camvid"))
    kinds = {v.name: v.type.tensor_type.elem_type for v in onnx.shape_inference.infer_shapes(model).graph.value_info}
    fragile = [n for n in model.graph.node if n.op_type in ("Softmax", "LayerNormalization", "InstanceNormalization")]
    assert len(fragile) == 8 + 16 + 1
    assert {kinds[node.output[0]] for node in fragile} == {onnx.TensorProto.FLOAT}
    convolutions = {kinds[n.output[0]] for n in model.graph.node if n.op_type == "Conv" and n.output[0] in kinds}
    assert convolutions == {onnx.TensorProto.FLOAT16}
    assert report.bytes < 4.8e6
    spec = ModelSpec.from_json({entry.key: entry.value for entry in model.metadata_props}[METADATA_KEY])
    assert spec == report.spec
    assert (spec.variant, spec.input_hw, spec.precision, spec.classes[3]) == ("tiny", (96, 128), Precision.FP16, "Road")
    assert len(spec.checkpoint_sha256) == 64
    assert {"afformer", "torch", "onnx", "onnxsim"} <= spec.tools.keys()


def test_a_model_that_differs_from_pytorch_is_an_error_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def open_harmed(path: Path, name: str) -> FakeBackend:
        assert path.is_file()
        with open_backend(path, name) as backend:
            return FakeBackend(backend.spec, lambda image: np.zeros((1, 11, 8, 8), np.float32))

    monkeypatch.setattr(verification, "open_backend", open_harmed)
    with pytest.raises(ExportError, match="differs from PyTorch"):
        export_checkpoint(assets.CHECKPOINT, tmp_path / "model.onnx", ExportOptions((64, 64)))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("size", [(63, 64), (64, 1), (0, 0)])
def test_sizes_below_64_are_refused(size: tuple[int, int]) -> None:
    with pytest.raises(ExportError, match="must be at least 64"):
        ExportOptions(size)


def test_place_that_cannot_be_written_is_refused_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError):
        export_checkpoint(tmp_path / "no.pth", tmp_path / "file" / "model.onnx", ExportOptions((64, 64)))


def test_bundled_model_is_the_export_of_the_bundled_checkpoint() -> None:
    model = onnx.load(assets.MODEL)
    spec = ModelSpec.from_json(model.metadata_props[0].value)
    checkpoint = load_checkpoint(assets.CHECKPOINT)
    assert spec.checkpoint_sha256 == checkpoint.sha256
    assert dataclasses.replace(checkpoint.spec((360, 480)), precision=Precision.FP16, tools=spec.tools) == spec
    assert checkpoint.assumptions() == []


def test_a_network_whose_numbers_pass_float16_keeps_those_operators_in_float32(tmp_path: Path) -> None:
    network = load_checkpoint(assets.CHECKPOINT).build()
    weights = dict(network.named_parameters())
    with torch.no_grad():
        weights["stages.1.pixel_embed.depthwise.weight"].mul_(1e6)
        weights["stages.1.pixel_embed.pointwise.weight"].div_(1e6)
    checkpoint = tmp_path / "scaled.pth"
    torch.save({"state_dict": official_state(network)}, checkpoint)
    report, _ = exported(tmp_path, ExportOptions((64, 96), precision=Precision.FP16), checkpoint)
    assert report.verification.pixel_agreement > 0.995
    assert {"stages.1.pixel_embed.depthwise/Conv", "stages.1.pixel_embed.1/Conv"} & report.kept_float32.keys()
    assert 1 <= len(report.kept_float32) <= 4
    assert open_model(report.path)(np.zeros((1, 3, 64, 96), np.float32)).shape == (1, 11, 8, 12)
