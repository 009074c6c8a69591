"""A report of a quantization, with names that must be escaped and figures that JSON cannot hold."""

from __future__ import annotations

import math
from pathlib import Path

from afformer.html.pictures import Difference
from afformer.measure.timing import Timing
from afformer.quantize.accuracy import Accuracy
from afformer.quantize.report.data import (
    CalibrationNotes,
    ConversionGroup,
    FloatNodes,
    Measured,
    QuantizeReport,
    TensorNoise,
    UnitNoise,
)
from afformer.quantize.report.histograms import Bar, Chart, Mark
from afformer.quantize.report.page import Illustrations
from afformer.quantize.search import SearchLog, Trial, Why
from afformer.quantize.verdict import Verdict

PIXEL = "data:image/png;base64,iVBORw0KGgo="


def accuracy(miou: float | None, iou: tuple[float, ...]) -> Accuracy:
    return Accuracy(0.9934, Path("street 7.png"), 0.981, miou, iou, 12)


REPORT = QuantizeReport(
    target="x86",
    written=True,
    classes=("Sky", "Road & path", "Nothing"),
    input_hw=(360, 480),
    verdict=Verdict(drop=0.1, measure="mIoU", max_drop=0.2, agreement=0.9934, ratio=0.52),
    before=Measured(Path("float.onnx"), 8_960_000, 0.030, accuracy(0.6121, (0.91, 0.8, math.nan))),
    after=Measured(Path("int8.onnx"), 2_840_000, 0.0156, accuracy(0.6111, (0.90, 0.81, math.nan))),
    speed=Timing(0.0156, 0.52, 0.50, 0.55, "ONNX Runtime 1.31.1, cpu"),
    calibration=CalibrationNotes("average", 12, Path("int8.ranges.json"), "calibrated", ("Only 12 usable pictures.",)),
    units=(
        UnitNoise("stages.1 <attention>", ("q", "k", "v", "out"), 21.5, "reverted by the search for accuracy"),
        UnitNoise("stem", ("stem.0",), math.inf, None),
    ),
    float_nodes=(FloatNodes("softmax over tokens", ("a/Softmax", "b/Softmax", "c/Softmax", "d/Softmax")),),
    conversions=(
        ConversionGroup("DequantizeLinear", "attention runs in float", ("x", "y")),
        ConversionGroup("Transpose", "channels first for attention", ("x",)),
        ConversionGroup("DequantizeLinear", "the model's output", ("logits",)),
    ),
    tensors=(
        TensorNoise("conv2d_7", "stem/Conv", -3.0, 4.0, 0.001, 24.0),
        TensorNoise("add", "stem/Add", 0.0, 1.0, 0.0, 40.0),
    ),
    search=SearchLog(5, False, (Trial(("stages.1 <attention>",), True, Why.ACCURACY, 0.4, 0.1, True),)),
    seconds=61.0,
)
ILLUSTRATIONS = Illustrations(
    {"conv2d_7": Chart("values of conv2d_7", (Bar(0, 50, kept=True),), (Mark(0, -3.0, "start"),))},
    (("Sky", (0, 120, 255)), ("Road & path", (128, 64, 128)), ("Nothing", (0, 0, 0))),
    (Difference("street 7.png", 0.981, (("float", PIXEL), ("INT8", PIXEL))),),
)
