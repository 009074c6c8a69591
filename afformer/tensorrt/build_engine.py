"""ONNX -> TensorRT engine."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from afformer import assets
from afformer.errors import BackendError, ExportError
from afformer.extras import requires_extra
from afformer.files import AnyPath, check_writable, replacing
from afformer.images import read_image
from afformer.progress import Progress, no_progress
from afformer.runtime.opening import OpenOptions
from afformer.spec import Precision
from afformer.spec_file import read_spec_file
from afformer.temporary import working_folder
from afformer.tensorrt.engine_info import EngineInfo, json_path
from afformer.tensorrt.gpu import Gpu
from afformer.tensorrt.options import Calibration, EngineOptions
from afformer.tensorrt.packages import Library, install_command, load
from afformer.tensorrt.precision_check import LayerCounts

if TYPE_CHECKING:
    import onnx

    from afformer.quantize.report.data import QuantizeReport
    from afformer.tensorrt.onnx_model import OnnxModel


SUFFIXES = (".engine", ".plan")


@dataclasses.dataclass(frozen=True)
class EngineReport:
    """What was built.

    Attributes:
        path: The engine.
        info: What the JSON beside it holds.
        counts: What the parsed network computes in.
        inspected: Layers of the built engine that compute in the precision that was asked for; None if it could not be
            inspected, because that takes a GPU.
        bytes: Size of the engine.
        seconds: Duration of the build.
    """

    path: Path
    info: EngineInfo
    counts: LayerCounts
    inspected: int | None
    bytes: int
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Plain data for `json.dumps`."""
        return {
            "path": str(self.path),
            "bytes": self.bytes,
            "seconds": round(self.seconds, 2),
            "network": dataclasses.asdict(self.counts),
            "inspected_layers": self.inspected,
            **json.loads(self.info.to_json()),
        }


@dataclasses.dataclass(frozen=True)
class BuildReport:
    """An engine, and what making its INT8 model cost.

    Attributes:
        engine: The engine.
        quantized: The cost of INT8 that was made of a float model; None if nothing was quantized.
        kept_float32: Why nodes of a model that was converted to float16 are in float32 that usually are not, by name.
    """

    engine: EngineReport
    quantized: QuantizeReport | None = None
    kept_float32: dict[str, str] = dataclasses.field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain data for `json.dumps`."""
        quantized = json.loads(self.quantized.to_json()) if self.quantized else None
        return {**self.engine.to_json(), "quantized": quantized, "kept_float32": self.kept_float32}


def build_engine(
    model: AnyPath,
    output: AnyPath,
    *,
    precision: Precision | str | None = None,
    options: EngineOptions | None = None,
    calibration: Calibration | None = None,
    spec: AnyPath | None = None,
    progress: Progress = no_progress,
) -> BuildReport:
    """Builds a TensorRT engine from an ONNX file, on the GPU that will run it.

    The engine computes in the precision of the ONNX. A float32 model can be converted on the way: to float16 as the
    export does it, or to INT8 by calibration. The INT8 model is kept beside the engine as `OUTPUT.int8.onnx`
    (`model.engine.int8.onnx`), with its ranges and the report of its cost.

    Args:
        model: The ONNX file.
        output: The `.engine` or `.plan` to write; its JSON goes beside it, with `.json` appended to the name.
        precision: Of the engine; None takes the model's own.
        options: How to build it.
        calibration: How to calibrate, and what may be lost; only to make INT8 of a float32 model.
        spec: Spec file of a model that has no spec of its own.
        progress: Called while the work proceeds.

    Raises:
        AfformerError: TensorRT, a driver or a GPU is missing, the model cannot be converted to this precision, TensorRT
            does not take it, INT8 loses more than allowed, the engine came out in another precision, or a file cannot
            be read or written.
    """
    with requires_extra("tensorrt"):
        from afformer.tensorrt.onnx_model import check_onnx_model, read_onnx_model
    options = options or EngineOptions()
    model, output = Path(model), Path(output)
    precision = None if precision is None else Precision(precision)
    if output.suffix.lower() not in SUFFIXES:
        raise ExportError(f"{output}: is not the name of an engine; name the file {' or '.join(SUFFIXES)}")
    _check_files(model, output, options)
    source = read_onnx_model(model, None if spec is None else read_spec_file(spec))
    own, wanted = source.spec.precision, precision or source.spec.precision
    _check_precision(model, own, wanted, calibration)
    check_onnx_model(source)
    load(options.library)
    gpu, cuda = _gpu_and_cuda(options.library)
    quantized, kept = None, dict[str, str]()
    if calibration:
        source, quantized = _quantized(source, model, output, calibration, spec=spec, progress=progress)
    elif wanted is not own:
        source, kept = _in_float16(source, model, spec)
    progress("building the engine", 0, 1)
    report = _build(source, output, options, gpu, cuda)
    progress("building the engine", 1, 1)
    return BuildReport(report, quantized, kept)


def _check_files(model: Path, output: Path, options: EngineOptions) -> None:
    """Fails before long work if a file cannot be written or read."""
    from afformer.tensorrt.builder import read_timing_cache

    for path in filter(None, (output, json_path(output), options.timing_cache)):
        check_writable(path, [model])
    read_timing_cache(options.timing_cache)


def _check_precision(model: Path, own: Precision, wanted: Precision, calibration: Calibration | None) -> None:
    """Checks that a model can be converted to the precision that is wanted."""
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
            "the engine will see (`calibration`), or quantize it first: `afformer-cli quantize --target tensorrt`"
        )


def _gpu_and_cuda(library: Library) -> tuple[Gpu | None, str]:
    """The GPU that TensorRT builds for, and the CUDA version of its driver. TensorRT-RTX needs neither."""
    if library is Library.TENSORRT_RTX:
        return None, ""
    try:
        from afformer.tensorrt import cuda
    except ModuleNotFoundError as error:
        raise BackendError(
            f"this needs the Python module '{error.name}', which is not installed; run `{install_command(library)}`"
        ) from error
    gpu, version = cuda.gpu(), cuda.driver_version()
    return gpu, ".".join(map(str, version)) if version else ""


def _in_float16(source: OnnxModel, model: Path, spec: AnyPath | None) -> tuple[OnnxModel, dict[str, str]]:
    """Converts to float16, and proves in half precision that the class maps of the bundled pictures stay the same."""
    from afformer.export.half import half_model

    made = half_model(source.proto, source.spec, [read_image(path) for path in assets.pictures()])
    _prove_float16(made.model, model, spec)
    return source.converted(made.model, Precision.FP16), made.kept


def _prove_float16(half: onnx.ModelProto, model: Path, spec: AnyPath | None) -> None:
    import onnx

    from afformer.export.half import LEAST_AGREEMENT
    from afformer.export.half_emulation import emulated
    from afformer.measure.comparison import compare_segmenters
    from afformer.runtime.segmenter import Segmenter

    with working_folder(model) as folder:
        emulation = folder / "emulated.onnx"
        onnx.save(emulated(half), emulation)
        with Segmenter(model, spec=spec) as ours, Segmenter(emulation) as theirs:
            found = compare_segmenters(ours, theirs, assets.pictures(), ours.spec.classes)
    if not found.pixel_agreement >= LEAST_AGREEMENT:
        raise ExportError(
            f"{model}: in float16 only {found.pixel_agreement:.2%} of pixels have the class of float32, expected "
            f"{LEAST_AGREEMENT:.1%} or more; build it with `precision=fp32`"
        )


def _quantized(
    source: OnnxModel,
    model: Path,
    output: Path,
    calibration: Calibration,
    *,
    spec: AnyPath | None,
    progress: Progress,
) -> tuple[OnnxModel, QuantizeReport]:
    from afformer.onnx_file import read_onnx_file
    from afformer.quantize.choices import MAX_DROP
    from afformer.quantize.options import QuantizeOptions
    from afformer.quantize.placement import Target
    from afformer.quantize.quantize_model import quantize_model

    int8 = output.with_name(f"{output.name}.int8.onnx")  # MODEL.int8.onnx is the name that `quantize` gives its own
    options = QuantizeOptions(
        target=Target.TENSORRT,
        max_drop=MAX_DROP if calibration.max_drop is None else calibration.max_drop,
        allow_drop=calibration.allow_drop,
        allow_slower=True,  # its verdict on speed is measured on this CPU and says nothing about the engine
    )
    opened = OpenOptions(spec=spec)
    report = quantize_model(model, int8, calibration.pictures, options=options, open_options=opened, progress=progress)
    proto, quantized = read_onnx_file(int8)
    return dataclasses.replace(source, proto=proto, spec=quantized), report


def _build(model: OnnxModel, output: Path, options: EngineOptions, gpu: Gpu | None, cuda: str) -> EngineReport:
    """Builds the engine and writes it with its JSON, both or neither."""
    from afformer.tensorrt.builder import Builder
    from afformer.tensorrt.onnx_model import check_onnx_model

    start = time.perf_counter()
    check_onnx_model(model)
    builder = Builder(load(options.library), model, options)
    counts = builder.parse()
    engine = builder.build()
    inspected = builder.inspect(engine)
    info = EngineInfo(
        spec=model.spec,
        engine_sha256=hashlib.sha256(engine).hexdigest(),
        library=options.library,
        version=builder.version,
        cuda=cuda,
        gpu=gpu,
        source=model.name,
        source_sha256=model.sha256,
        version_compatible=options.version_compatible,
        hardware_compatible=options.hardware_compatible,
    )
    with replacing(json_path(output)) as beside, replacing(output) as temporary:
        temporary.write_bytes(engine)
        beside.write_text(info.to_json(), encoding="utf-8")
    return EngineReport(output, info, counts, inspected, len(engine), time.perf_counter() - start)
