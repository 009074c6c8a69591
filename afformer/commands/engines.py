"""Commands for TensorRT, and for what this machine can run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from afformer.commands.options import FilePath, json_option
from afformer.commands.report import print_json, step_bars

if TYPE_CHECKING:
    from afformer.tensorrt.builder import EngineReport


@click.command()
@click.argument("model", type=FilePath)
@click.option("-o", "--out", type=FilePath, required=True, help="The .engine to write; its JSON goes beside it.")
@click.option("--precision", type=click.Choice(["fp32", "fp16", "int8"]), help="Default: the model's own.")
@click.option("--images", "calibration", type=FilePath, help="Folder of pictures to calibrate INT8 on.")
@click.option("--max-drop", type=click.FloatRange(0), help="Points of agreement with float that INT8 may lose.")
@click.option("--allow-drop", is_flag=True, help="Accept a larger drop.")
@click.option("--workspace", type=click.IntRange(1), metavar="MIB", help="GPU memory that a layer may use for itself.")
@click.option("--timing-cache", type=FilePath, help="File of measured kernels, to start from and add to.")
@click.option("--version-compatible", is_flag=True, help="Let later versions of TensorRT run the engine.")
@click.option("--hardware-compatible", is_flag=True, help="Let other GPUs, Ampere or later, run it. Not on Jetson.")
@click.option("--rtx", is_flag=True, help="Build with TensorRT-RTX: for GeForce and RTX GPUs, on any machine.")
@json_option
def engine(model: Path, out: Path, as_json: bool, **choices: Any) -> None:
    """Build a TensorRT engine of MODEL, an ONNX file, on the GPU that shall run it.

    The precision is the model's. Of a float32 model, fp16 is made by conversion and int8 by calibration on --images.
    """
    from afformer.extras import requires_extra
    from afformer.spec import Precision
    from afformer.tensorrt.engine import Calibration, build_engine

    with requires_extra("tensorrt"):
        from afformer.tensorrt.builder import EngineOptions
    from afformer.tensorrt.plan_file import Library

    options = EngineOptions(
        library=Library.TENSORRT_RTX if choices["rtx"] else Library.TENSORRT,
        workspace_mib=choices["workspace"],
        timing_cache=choices["timing_cache"],
        version_compatible=choices["version_compatible"],
        hardware_compatible=choices["hardware_compatible"],
    )
    precision = Precision(choices["precision"]) if choices["precision"] else None
    pictures, max_drop, allow_drop = choices["calibration"], choices["max_drop"], choices["allow_drop"]
    if pictures is None and (max_drop is not None or allow_drop):
        raise click.UsageError("--max-drop and --allow-drop are for INT8 that is made here; name --images as well.")
    calibration = Calibration(pictures, max_drop, allow_drop) if pictures else None
    with step_bars() as progress:
        built = build_engine(
            model, out, precision=precision, options=options, calibration=calibration, progress=progress
        )
    if as_json:
        print_json(built.to_json())
        return
    if built.quantized:
        click.echo(built.quantized.bargain.accuracy())
    _tell(built.engine)


@click.command()
@json_option
def doctor(as_json: bool) -> None:
    """Show what this machine can run, what is missing, and the lines that install it."""
    from afformer.doctor import diagnose

    diagnosis = diagnose()
    print_json(diagnosis.to_json()) if as_json else click.echo(diagnosis.to_text())


def _tell(report: EngineReport) -> None:
    file, numbers = report.file, report.numbers
    precision = file.spec.precision.value
    click.echo(f"{numbers.layers} layers; {numbers.asked} of {numbers.convolutions} convolutions in {precision}")
    if report.inspected is None:
        click.echo("the engine itself was not looked into: that takes the GPU that runs it")
    else:
        click.echo(f"{report.inspected} layers of the engine compute in {precision}")
    where = f"for {file.gpu}" if file.gpu else "for no GPU in particular"
    size = f"{report.bytes / 1e6:.1f} MB in {report.seconds:.1f} s"
    click.echo(f"wrote {report.path} and its JSON: {size} with {file.library.title} {file.version}, {where}")
    if precision == "int8":
        click.echo(f"not measured: whether it pays; afformer-cli benchmark FP16.engine {report.path} tells")
    click.echo(f"next: afformer-cli infer {report.path} PICTURE -o DIR")
