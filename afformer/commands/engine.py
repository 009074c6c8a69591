"""`afformer-cli engine`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from afformer.commands.options import FilePath, ModelFile, enum_option, json_option, spec_option
from afformer.commands.report import print_json, print_text, progress_bar
from afformer.spec import Precision

if TYPE_CHECKING:
    from afformer.tensorrt.build_engine import EngineReport


@click.command()
@click.argument("model", type=ModelFile)
@click.option("-o", "--out", type=FilePath, required=True, help="The .engine to write; its JSON goes beside it.")
@enum_option("--precision", of=Precision, help="Default: the model's own.")
@click.option("--images", "calibration", type=FilePath, help="Folder of pictures to calibrate INT8 on.")
@click.option("--max-drop", type=click.FloatRange(0), help="Points of agreement that INT8 may lose. Default: 1.")
@click.option("--allow-drop", is_flag=True, help="Accept a larger drop.")
@click.option(
    "--workspace", "workspace_mib", type=click.IntRange(1), metavar="MIB", help="GPU memory that one layer may use."
)
@click.option("--timing-cache", type=FilePath, help="File of measured kernels: read first, then extended.")
@click.option("--version-compatible", is_flag=True, help="Let later versions of TensorRT run the engine.")
@click.option("--hardware-compatible", is_flag=True, help="Let other GPUs, Ampere or later, run it. Not on Jetson.")
@click.option("--rtx", is_flag=True, help="Build with TensorRT-RTX: for GeForce and RTX GPUs, on any machine.")
@spec_option
@json_option
def engine(
    *,
    model: Path,
    out: Path,
    precision: Precision | None,
    calibration: Path | None,
    max_drop: float | None,
    allow_drop: bool,
    workspace_mib: int | None,
    timing_cache: Path | None,
    version_compatible: bool,
    hardware_compatible: bool,
    rtx: bool,
    spec: Path | None,
    as_json: bool,
) -> None:
    """Build a TensorRT engine of MODEL, an ONNX file, on the GPU that will run it.

    The precision is the model's. A float32 model is converted for fp16, and calibrated on --images for int8.
    """
    from afformer.tensorrt.build_engine import build_engine
    from afformer.tensorrt.options import Calibration, EngineOptions
    from afformer.tensorrt.packages import Library

    if calibration is None and (max_drop is not None or allow_drop):
        raise click.UsageError("--max-drop and --allow-drop need --images: they apply to INT8 that is made here.")
    options = EngineOptions(
        library=Library.TENSORRT_RTX if rtx else Library.TENSORRT,
        workspace_mib=workspace_mib,
        timing_cache=timing_cache,
        version_compatible=version_compatible,
        hardware_compatible=hardware_compatible,
    )
    with progress_bar() as progress:
        built = build_engine(
            model,
            out,
            precision=precision,
            options=options,
            calibration=Calibration(calibration, max_drop, allow_drop) if calibration else None,
            spec=spec,
            progress=progress,
        )
    if as_json:
        print_json(built.to_json())
        return
    if built.quantized:
        print_text(built.quantized.verdict.accuracy())
    if built.kept_float32:
        from afformer.export.half import kept_summary

        click.echo(kept_summary(built.kept_float32))
    _print_report(built.engine)


def _print_report(report: EngineReport) -> None:
    file, numbers = report.info, report.counts
    precision = file.spec.precision.value
    click.echo(f"{numbers.layers} layers; {numbers.asked} of {numbers.convolutions} convolutions in {precision}")
    if report.inspected is None:
        click.echo("the layers of the engine itself were not checked: that takes the GPU that runs it")
    else:
        click.echo(f"{report.inspected} layers of the engine compute in {precision}")
    where = f"for {file.gpu}" if file.gpu else "for no GPU in particular"
    size = f"{report.bytes / 1e6:.1f} MB in {report.seconds:.1f} s"
    click.echo(f"wrote {report.path} and its JSON: {size} with {file.library.title} {file.version}, {where}")
    if precision == "int8":
        click.echo(f"not measured: whether it is faster; see afformer-cli benchmark FP16.engine {report.path}")
    click.echo(f"next: afformer-cli infer {report.path} PICTURE -o DIR")
