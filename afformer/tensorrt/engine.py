"""ONNX -> TensorRT plan."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from afformer.errors import BackendError, ExportError
from afformer.extras import requires_extra
from afformer.spec import Precision
from afformer.tensorrt.packages import install_command, load
from afformer.tensorrt.plan_file import Library

if TYPE_CHECKING:
    from afformer.quantize.report import QuantizeReport
    from afformer.tensorrt.builder import EngineOptions, EngineReport, Site
    from afformer.tensorrt.onnx_source import Source

Progress = Callable[[str, int, int], None]

ENDINGS = (".engine", ".plan")


@dataclasses.dataclass(frozen=True)
class Calibration:
    """How INT8 is made of a float32 model.

    Attributes:
        pictures: Folder of pictures like those that the engine will see.
        max_drop: Points of agreement with the float model that may be lost; None accepts any.
        allow_drop: Whether to accept a larger loss.
    """

    pictures: Path
    max_drop: float | None = None
    allow_drop: bool = False


@dataclasses.dataclass(frozen=True)
class Built:
    """What was made.

    Attributes:
        engine: The engine.
        quantized: What making INT8 of the float model cost; None if nothing was quantized.
    """

    engine: EngineReport
    quantized: QuantizeReport | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain data for `json.dumps`."""
        quantized = json.loads(self.quantized.to_json()) if self.quantized else None
        return {**self.engine.to_json(), "quantized": quantized}


def build_engine(
    model: Path,
    output: Path,
    *,
    precision: Precision | None = None,
    options: EngineOptions | None = None,
    calibration: Calibration | None = None,
    progress: Progress = lambda what, done, total: None,
) -> Built:
    """Builds a TensorRT engine from an ONNX file of this package.

    What the engine computes in stands in the ONNX. Where another precision is asked of a float32 model, it is brought
    to it first: to float16 as the export does, to INT8 by calibration. That INT8 model is kept beside the engine, as
    `OUTPUT.int8.onnx` (`model.engine.int8.onnx`), with its ranges and its report, which says what it cost.

    Args:
        model: The ONNX file.
        output: The `.engine` or `.plan` to write; `.json` is added to it for what lies beside.
        precision: Of the engine; None takes the model's own.
        options: How to build it.
        calibration: How to calibrate, and what may be lost; for INT8 of a float32 model only.
        progress: Told what is being done, how much of it is done, and of how much.

    Raises:
        AfformerError: TensorRT, a driver or a GPU is missing, the model cannot be brought to this precision, TensorRT
            does not take it, INT8 loses more than it may, the engine came out in another precision, or a file cannot
            be read or written.
    """
    with requires_extra("tensorrt"):
        from afformer.tensorrt import builder as build
        from afformer.tensorrt.onnx_source import check_source, read_source
    options = options or build.EngineOptions()
    if output.suffix.lower() not in ENDINGS:
        raise ExportError(f"{output}: is the name of no engine; name the file {' or '.join(ENDINGS)}")
    build.check_places(output, options)
    source = read_source(model)
    own, wanted = source.spec.precision, precision or source.spec.precision
    _check_wish(model, own, wanted, calibration)
    check_source(source)
    load(options.library)
    site = _site(options)
    quantized = None
    if calibration:
        source, quantized = _quantized(source, model, output, calibration, progress)
    elif wanted is not own:
        source = _halved(source)
    progress("building the engine", 0, 1)
    report = build.build_engine(source, output, options, site)
    progress("building the engine", 1, 1)
    return Built(report, quantized)


def _check_wish(model: Path, own: Precision, wanted: Precision, calibration: Calibration | None) -> None:
    """Whether a model can be brought to the precision that is wanted."""
    from_float = own is Precision.FP32
    if calibration and not (from_float and wanted is Precision.INT8):
        raise ExportError(
            f"{model}: calibration pictures make INT8 of a float32 model, but the model is {own.value} and the engine "
            f"{wanted.value}; leave them out, or ask for int8 of the float32 export"
        )
    if wanted is not own and not from_float:
        raise ExportError(
            f"{model}: is {own.value}, and no {wanted.value} can be made of it; start from the float32 export"
        )
    if wanted is Precision.INT8 and from_float and calibration is None:
        raise ExportError(
            f"{model}: is float32, and INT8 needs pictures to calibrate on; name a folder of pictures like those that "
            "the engine will see (--images DIR), or quantize it first: `afformer-cli quantize --target tensorrt`"
        )


def _site(options: EngineOptions) -> Site:
    """This machine's GPU, which TensorRT builds for."""
    from afformer.tensorrt.builder import Site

    if options.library is Library.TENSORRT_RTX:
        return Site()
    try:
        from afformer.tensorrt import cuda
    except ModuleNotFoundError as error:
        raise BackendError(
            f"this needs the Python module '{error.name}', which is not installed; "
            f"run `{install_command(options.library)}`"
        ) from error
    gpu, driver = cuda.gpu(), cuda.driver_version()
    return Site(gpu, ".".join(map(str, driver)) if driver else "")


def _halved(source: Source) -> Source:
    from afformer.export.float16 import to_float16
    from afformer.tensorrt.onnx_source import with_model

    return with_model(source, to_float16(source.model), Precision.FP16)


def _quantized(
    source: Source, model: Path, output: Path, calibration: Calibration, progress: Progress
) -> tuple[Source, QuantizeReport]:
    from afformer.quantize.placement import Target
    from afformer.quantize.quantize_model import quantize_model
    from afformer.quantize.quantizer import QuantizeOptions
    from afformer.tensorrt.onnx_source import read_source, with_model

    # not MODEL.int8.onnx, which is what `quantize` calls its own
    small = output.with_name(f"{output.name}.int8.onnx")
    options = QuantizeOptions(
        target=Target.TENSORRT,
        max_drop=calibration.max_drop,
        allow_drop=calibration.allow_drop,
        allow_slower=True,  # the speed measured for its verdict is this CPU's, which says nothing of the engine
    )
    report = quantize_model(model, small, calibration.pictures, options=options, progress=progress)
    return with_model(source, read_source(small).model, Precision.INT8), report
