from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import afformer
from afformer.errors import AfformerError
from afformer.export.exporter import ExportOptions
from afformer.quantize.options import QuantizeOptions
from afformer.runtime import ColorOrder, Device, Fit, Segmenter
from afformer.runtime.choices import Colours
from afformer.runtime.opening import OpenOptions
from afformer.spec import InputKind, OutputKind, Precision
from afformer.streams.choices import Output
from afformer.streams.segment import OutputOptions
from afformer.tensorrt.options import EngineOptions
from tests.builders.fake_backend import FakeBackend
from tests.builders.tiny_onnx import SPEC

SIZE = (64, 64)
WRONG: dict[str, tuple[Callable[[Any], object], str]] = {
    "fit": (lambda x: Segmenter(FakeBackend(SPEC), fit=x), "fit must be one of stretch, pad, slide"),
    "color order": (lambda x: Segmenter(FakeBackend(SPEC), color_order=x), "color_order must be one of rgb, bgr"),
    "fit, opening": (lambda x: OpenOptions(fit=x), "fit must be one of stretch, pad, slide"),
    "device, opening": (lambda x: OpenOptions(device=x), "device must be one of cpu, cuda"),
    "input": (lambda x: ExportOptions(SIZE, input=x), "input_kind must be one of float32, uint8"),
    "output": (lambda x: ExportOptions(SIZE, output=x), "output_kind must be one of logits, classmap"),
    "precision": (lambda x: ExportOptions(SIZE, precision=x), "precision must be one of fp32, fp16, int8"),
    "target": (lambda x: QuantizeOptions(target=x), "target must be one of x86, arm, tensorrt, generic"),
    "method": (lambda x: QuantizeOptions(method=x), "method must be one of minmax, average, percentile, mse"),
    "library": (lambda x: EngineOptions(library=x), "library must be one of tensorrt, tensorrt_rtx"),
    "outputs": (lambda x: OutputOptions(outputs=(x,)), "output must be one of overlay, mask, side_by_side, npy, json"),
    "colours": (lambda x: OutputOptions(colours=x), "colours must be one of auto, dataset, colorblind"),
}


@pytest.mark.parametrize("value", ["nonsense", "", 3, "STRETCH "])
@pytest.mark.parametrize("name", WRONG)
def test_a_value_that_is_none_of_the_choices_is_refused_with_the_choices(name: str, value: object) -> None:
    use, message = WRONG[name]
    with pytest.raises(AfformerError, match=f"{message}, but got {value!r}") as caught:
        use(value)
    assert isinstance(caught.value, ValueError)


def test_strings_mean_the_members() -> None:
    assert OpenOptions(device="cuda", fit="slide") == OpenOptions(device=Device.CUDA, fit=Fit.SLIDE)  # type: ignore[arg-type]
    exported = ExportOptions(SIZE, input="uint8", output="classmap", precision="fp16")  # type: ignore[arg-type]
    assert exported == ExportOptions(SIZE, 1, InputKind.UINT8, OutputKind.CLASSMAP, Precision.FP16)
    written = OutputOptions(outputs=["overlay", Output.MASK, "_classmap.npy"], colours="dataset")  # type: ignore[arg-type]
    assert written == OutputOptions(outputs=(Output.OVERLAY, Output.MASK, Output.NPY), colours=Colours.DATASET)
    assert OutputOptions(outputs="mask").outputs == (Output.MASK,)  # type: ignore[arg-type]


def test_a_fit_given_as_a_string_is_that_fit() -> None:
    assert Segmenter(FakeBackend(SPEC), fit="slide").batch == Segmenter(FakeBackend(SPEC), fit=Fit.SLIDE).batch
    assert ColorOrder("bgr") is ColorOrder.BGR


def test_functions_take_paths_as_strings(tmp_path: Path) -> None:
    missing = str(tmp_path / "missing")
    calls: list[Callable[[], object]] = [
        lambda: afformer.export_checkpoint(missing + ".pth", str(tmp_path / "a.onnx"), ExportOptions(SIZE)),
        lambda: afformer.compare_models(missing + ".onnx", missing + ".onnx", missing),
        lambda: afformer.evaluate_model(missing + ".onnx", missing, missing),
        lambda: afformer.quantize_model(missing + ".onnx", str(tmp_path / "b.onnx"), missing),
        lambda: afformer.segment_pictures(missing + ".onnx", missing, str(tmp_path)),
        lambda: OpenOptions().open_backend(missing + ".onnx"),
    ]
    for call in calls:
        with pytest.raises(AfformerError, match="missing"):
            call()
