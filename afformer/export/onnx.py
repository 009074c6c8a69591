"""Checkpoint -> verified ONNX file."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from afformer.errors import ExportError
from afformer.export import onnx_graph as graph
from afformer.export.endpoints import Deployment, example_input
from afformer.export.float16 import to_float16
from afformer.export.verification import Runner, Verification, verify
from afformer.files import check_writable, replacing
from afformer.model.checkpoint import load_checkpoint
from afformer.model.network import AFFormer
from afformer.spec import InputKind, ModelSpec, OutputKind, Precision

SMALLEST = 64
"""Smallest height and width that can be exported: stage 3's prototypes are then a 2x2 grid."""


@dataclasses.dataclass(frozen=True)
class ExportOptions:
    """What the exported model shall be like.

    Attributes:
        input_hw: Height and width in pixels, 64 or more each.
        batch: Pictures a call.
        input: Normalised float32 NCHW, or RGB bytes NHWC with the normalisation in the graph.
        output: Logits at stride 8, or the class map at the input size.
        precision: FP32 or FP16 (INT8 is made from the exported model by `afformer.quantize`).
        dataset: Name of the data set whose classes and colours to use; None takes what the checkpoint says.
    """

    input_hw: tuple[int, int]
    batch: int = 1
    input: InputKind = InputKind.FLOAT32
    output: OutputKind = OutputKind.LOGITS
    precision: Precision = Precision.FP32
    dataset: str | None = None

    def __post_init__(self) -> None:
        if min(self.input_hw) < SMALLEST:
            raise ExportError(
                f"size {self.input_hw[0]}x{self.input_hw[1]} is too small, height and width must be at least {SMALLEST}"
            )
        if self.batch < 1:
            raise ExportError(f"batch must be at least 1, but got {self.batch}")
        if self.precision not in (Precision.FP32, Precision.FP16):
            raise ExportError("export writes fp32 or fp16; for INT8 quantize the exported model")


@dataclasses.dataclass(frozen=True)
class ExportReport:
    """What was written."""

    path: Path
    spec: ModelSpec
    nodes: int
    bytes: int
    seconds: float
    verification: Verification

    def to_json(self) -> dict[str, Any]:
        """Plain data for `json.dumps`."""
        return {
            "path": str(self.path),
            "bytes": self.bytes,
            "nodes": self.nodes,
            "seconds": round(self.seconds, 2),
            "verification": dataclasses.asdict(self.verification),
            "spec": json.loads(self.spec.to_json()),
        }


def export_onnx(
    checkpoint: Path,
    output: Path,
    options: ExportOptions,
    pictures: Sequence[npt.NDArray[np.uint8]],
    open_model: Callable[[Path], Runner],
) -> ExportReport:
    """Exports a checkpoint, verifies the file against PyTorch and only then gives it its name.

    Args:
        checkpoint: Any file that `load_checkpoint` reads.
        output: The ONNX file to write.
        options: Size, batch, input, output, precision, labels.
        pictures: `(H, W, 3)` uint8 RGB pictures to verify on.
        open_model: Loads an ONNX file on an engine.

    Raises:
        CheckpointError: The checkpoint cannot be used.
        ExportError: The export failed, or its result differs from PyTorch's.
        OutputError: The file cannot be written.
    """
    start = time.perf_counter()
    if output.suffix.lower() != ".onnx":
        raise ExportError(f"{output}: the model is written as ONNX; name the file .onnx")
    check_writable(output)
    loaded = load_checkpoint(checkpoint)
    network = loaded.build()
    spec = dataclasses.replace(
        loaded.spec(options.input_hw, options.dataset),
        batch=options.batch,
        input=options.input,
        output=options.output,
        precision=options.precision,
        tools=graph.tool_versions(),
    )
    model = build_graph(network, spec)
    with replacing(output) as temporary:
        onnx.save(model, temporary)
        verification = verify(open_model(temporary), network, spec, pictures)
        size = temporary.stat().st_size
    return ExportReport(output, spec, len(model.graph.node), size, time.perf_counter() - start, verification)


def build_graph(network: AFFormer, spec: ModelSpec) -> onnx.ModelProto:
    """The network as the ONNX graph that the spec describes."""
    model = graph.simplify(graph.trace(Deployment(network, spec), example_input(spec), spec.output))
    if spec.precision is Precision.FP16:
        model = to_float16(model)
    graph.stamp(model, spec)
    return model
