"""Checkpoint -> verified ONNX file."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from afformer import assets
from afformer.choice import take_choices
from afformer.errors import ExportError, ImageError
from afformer.export.choices import NEWEST_OPSET, OLDEST_OPSET, OPSET
from afformer.extras import requires_extra
from afformer.files import AnyPath, check_writable, replacing
from afformer.images import RGBImage, read_image
from afformer.measure.pictures import Failure, read_all
from afformer.measure.tables import plain
from afformer.model.choices import AS_THE_FILE_SAYS, CheckpointOptions
from afformer.progress import no_progress
from afformer.spec import InputKind, ModelSpec, OutputKind, Precision
from afformer.streams.file_names import open_pictures
from afformer.temporary import working_folder

if TYPE_CHECKING:
    import onnx

    from afformer.export.verification import Verification
    from afformer.model.network import AFFormer

SMALLEST = 64
"""Smallest height and width that can be exported: the prototypes of stage 3 are then a 2x2 grid."""
VERIFICATION_PICTURES = 32
"""Most pictures that an export is verified on."""


@dataclasses.dataclass(frozen=True)
class ExportOptions:
    """What kind of model to export. Enums may be given as their strings.

    Attributes:
        input_hw: Height and width in pixels, 64 or more each.
        batch: Pictures per call.
        input: Normalised float32 NCHW, or RGB bytes NHWC with the normalisation in the graph.
        output: Logits at stride 8, or the class map at the input size.
        precision: FP32 or FP16; INT8 is made from the exported model by `afformer.quantize_model`.
        opset: ONNX operator set, 17 to 23; older ones for older engines.
        dataset: Name of the data set whose classes and colours to use; None takes what the checkpoint says.
        checkpoint: What is said about the checkpoint: its normalisation, weights and classes.
    """

    input_hw: tuple[int, int]
    batch: int = 1
    input: InputKind = InputKind.FLOAT32
    output: OutputKind = OutputKind.LOGITS
    precision: Precision = Precision.FP32
    dataset: str | None = None
    opset: int = OPSET
    checkpoint: CheckpointOptions = AS_THE_FILE_SAYS

    def __post_init__(self) -> None:
        take_choices(self, input=InputKind, output=OutputKind, precision=Precision)
        if min(self.input_hw) < SMALLEST:
            raise ExportError(
                f"size {self.input_hw[0]}x{self.input_hw[1]} is too small, height and width must be at least {SMALLEST}"
            )
        if self.batch < 1:
            raise ExportError(f"batch must be at least 1, but got {self.batch}")
        if not OLDEST_OPSET <= self.opset <= NEWEST_OPSET:
            raise ExportError(f"`opset` must be {OLDEST_OPSET} to {NEWEST_OPSET}, but got {self.opset}")
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
    kept_float32: dict[str, str]
    """Why nodes of a float16 model are in float32 that usually are not, by name."""
    failures: tuple[Failure, ...] = ()
    """Pictures that could not be verified on."""

    def to_json(self) -> dict[str, Any]:
        """Plain data for `json.dumps`."""
        return {
            "path": str(self.path),
            "bytes": self.bytes,
            "nodes": self.nodes,
            "seconds": round(self.seconds, 2),
            "provenance": self.spec.provenance,
            "verification": dataclasses.asdict(self.verification),
            "failures": plain(self.failures),
            "kept_float32": self.kept_float32,
            "spec": json.loads(self.spec.to_json()),
        }


def export_checkpoint(
    checkpoint: AnyPath, output: AnyPath, options: ExportOptions, verify_images: AnyPath | None = None
) -> ExportReport:
    """Exports a checkpoint to ONNX; the file gets its name only after it was verified against PyTorch on real pictures.

    Args:
        checkpoint: Any AFFormer checkpoint file.
        output: The `.onnx` file to write.
        options: What kind of model to export.
        verify_images: Folder of pictures to verify on, of which at most `VERIFICATION_PICTURES`, evenly spread, are
            used; None takes the bundled ones. What cannot be read is reported and left out.

    Raises:
        CheckpointError: The checkpoint cannot be used.
        ExportError: The export failed, or its result differs from PyTorch's.
        ImageError: There is no such folder, or none of the pictures can be read.
        OutputError: The file cannot be written.
        AfformerError: The dependencies are missing.
    """
    with requires_extra("export"):
        import onnx

        from afformer.export import onnx_graph
        from afformer.model.checkpoint import load_checkpoint
    start = time.perf_counter()
    checkpoint, output = Path(checkpoint), Path(output)
    if output.suffix.lower() != ".onnx":
        raise ExportError(f"{output}: the model is written as ONNX; name the file .onnx")
    check_writable(output, [checkpoint])
    pictures, failures = _verification_pictures(verify_images)
    loaded = load_checkpoint(checkpoint, options.checkpoint)
    network = loaded.build()
    spec = dataclasses.replace(
        loaded.spec(options.input_hw, options.dataset),
        batch=options.batch,
        input=options.input,
        output=options.output,
        precision=options.precision,
        tools=onnx_graph.tool_versions(),
    )
    model, kept = onnx_graph.build_graph(network, spec, options.opset), dict[str, str]()
    if spec.precision is Precision.FP16:
        model, kept = _in_float16(model, spec, pictures)
    with replacing(output) as temporary:
        onnx.save(model, temporary)
        result = _verified(temporary, model, network, pictures, spec.precision)
        size = temporary.stat().st_size
    seconds = time.perf_counter() - start
    return ExportReport(output, spec, len(model.graph.node), size, seconds, result, kept, failures)


def _in_float16(
    model: onnx.ModelProto, spec: ModelSpec, pictures: Sequence[RGBImage]
) -> tuple[onnx.ModelProto, dict[str, str]]:
    from afformer.export import half, onnx_graph

    made = half.half_model(model, spec, pictures)
    onnx_graph.stamp(made.model, spec)
    return made.model, made.kept


def _verified(
    path: Path, model: onnx.ModelProto, network: AFFormer, pictures: Sequence[RGBImage], precision: Precision
) -> Verification:
    """Verifies the file as ONNX Runtime runs it, and a float16 model as a GPU runs it: in half precision."""
    import onnx

    from afformer.export import half_emulation, verification

    if precision is not Precision.FP16:
        return verification.verify(path, network, pictures)
    verification.verify(path, network, pictures[:1])
    with working_folder(path) as folder:
        emulation = folder / "emulated.onnx"
        onnx.save(half_emulation.emulated(model), emulation)
        return verification.verify(emulation, network, pictures)


def _verification_pictures(folder: AnyPath | None) -> tuple[list[RGBImage], tuple[Failure, ...]]:
    paths = open_pictures(Path(folder)).paths if folder else assets.pictures()
    step = -(-len(paths) // VERIFICATION_PICTURES)
    failures: list[Failure] = []
    pictures = list(read_all([(path,) for path in paths[::step]], read_image, failures, no_progress))
    if not pictures:
        raise ImageError(f"none of {len(failures)} verification pictures can be used; the first: {failures[0].reason}")
    return pictures, tuple(failures)
