from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from afformer.errors import AfformerError, BackendError, SpecError
from afformer.runtime import Segmenter, open_backend
from afformer.spec import InputKind, ModelSpec, OutputKind
from tests.builders.foreign_onnx import FORMS, write_foreign_onnx
from tests.builders.tiny_onnx import SPEC, write_tiny_onnx

BACKENDS = ["onnxruntime", "openvino"]


def _spec(form: str) -> ModelSpec:
    kind = OutputKind.CLASSMAP if "ids" in form else OutputKind.LOGITS
    return dataclasses.replace(SPEC, output=kind, stride=1 if form == "logits at full size" else 8)


def _picture() -> np.ndarray:
    """Grey steps, each wider than a cell of the logits."""
    steps = np.repeat(np.array([0, 90, 170, 255], np.uint8), 24)
    return np.broadcast_to(steps[None, :, None], (64, 96, 3)).copy()


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("form", FORMS)
def test_a_model_of_somebody_else_gives_the_class_map_of_our_own(tmp_path: Path, form: str, backend: str) -> None:
    pytest.importorskip(backend)
    ours = dataclasses.replace(SPEC, output=_spec(form).output)
    foreign = write_foreign_onnx(tmp_path / "foreign.onnx", form)
    with Segmenter(write_tiny_onnx(tmp_path / "own.onnx", ours)) as own:
        expected = own(_picture())
    with Segmenter(foreign, backend=backend, spec=_spec(form)) as segment:
        found = segment(_picture())
        assert (segment.spec.input_name, segment.backend.run(_feed()).dtype.kind) == (
            "picture",
            "uf"["scores" in FORMS[form]],
        )
    assert found.dtype == expected.dtype
    assert (found == expected).mean() > 0.97
    assert set(np.unique(found)) == {0, 1, 2, 3}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("form", "change", "said"),
    [
        ("logits at an eighth", {"input_hw": (64, 64)}, r"has 'picture' float32\[1, 3, 64, 96\], but the spec says"),
        ("logits at an eighth", {"stride": 4}, r"has 'scores' .*the spec says logits \[1, 4, 16, 24\]"),
        ("logits at an eighth", {"input": InputKind.UINT8}, "spec says uint8"),
        ("logits at an eighth", {"output": OutputKind.CLASSMAP}, "spec says classmap"),
        ("logits at an eighth", {"input_name": "x"}, "has no input 'x', as the spec says, but 'picture'"),
        ("logits at an eighth", {"output_name": "y"}, "has no output 'y'"),
        ("logits at an eighth", {"classes": SPEC.classes[:3], "palette": SPEC.palette[:3]}, r"\[1, 3, 8, 12\]"),
        ("open lengths", {"stride": 4}, r"float32\[1, 4, 8, 12\], but the spec says logits \[1, 4, 16, 24\]"),
        ("ids of 64 bits", {"output": OutputKind.LOGITS}, "but the spec says logits"),
    ],
)
def test_what_the_spec_and_the_graph_contradict_is_refused(
    tmp_path: Path, form: str, change: dict[str, object], said: str, backend: str
) -> None:
    pytest.importorskip(backend)
    path = write_foreign_onnx(tmp_path / "foreign.onnx", form)
    with pytest.raises(SpecError, match=said):
        open_backend(path, backend, spec=dataclasses.replace(_spec(form), **change))  # type: ignore[arg-type]


def test_class_ids_beyond_the_specs_classes_are_refused_not_wrapped(tmp_path: Path) -> None:
    path = write_foreign_onnx(tmp_path / "foreign.onnx", "ids of 64 bits")
    few = dataclasses.replace(_spec("ids"), classes=("dark", "other"), palette=SPEC.palette[:2])
    with (
        Segmenter(path, spec=few) as segment,
        pytest.raises(BackendError, match=r"gives class id 3, .* names 2 classes"),
    ):
        segment(_picture())


def test_several_inputs_or_outputs_are_listed(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    path = write_foreign_onnx(tmp_path / "foreign.onnx", "logits at an eighth")
    model = onnx.load(path)
    model.graph.output.append(onnx.helper.make_tensor_value_info("pooled", 1, [1, 3, 8, 12]))
    onnx.save(model, path)
    with pytest.raises(SpecError, match=r"has 2 outputs .*name one as output_name"):
        open_backend(path, spec=SPEC)
    with open_backend(path, spec=dataclasses.replace(SPEC, output_name="scores")) as backend:
        assert backend.run(_feed()).shape == (1, 4, 8, 12)


def test_a_spec_is_refused_where_a_model_brings_its_own(tmp_path: Path) -> None:
    with pytest.raises(AfformerError, match=r"w\.pth: is a checkpoint, and `spec` is for ONNX models without one"):
        open_backend(tmp_path / "w.pth", spec=SPEC)
    with pytest.raises(AfformerError, match=r"m\.engine: has a spec of its own"):
        open_backend(tmp_path / "m.engine", spec=SPEC)


@pytest.mark.parametrize("form", ["logits at an eighth", "logits at full size"])
def test_tiles_lie_on_the_grid_of_the_models_stride(tmp_path: Path, form: str) -> None:
    path = write_foreign_onnx(tmp_path / "foreign.onnx", form)
    picture = np.tile(_picture(), (2, 2, 1))
    with Segmenter(path, spec=_spec(form), fit="slide") as segment:
        found = segment(picture)
    assert (found == found[:1]).all()
    assert (found[0, [12, 36, 60, 84, 108]] == [0, 1, 2, 3, 0]).all()


def _feed() -> np.ndarray:
    return np.zeros((1, 3, 64, 96), np.float32)
