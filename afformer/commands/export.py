"""`afformer-cli export`."""

from __future__ import annotations

from pathlib import Path

import click

from afformer.commands.options import CheckpointFile, FilePath, checkpoint_options, enum_option, hxw, json_option
from afformer.commands.report import exit_with, print_json, print_text
from afformer.datasets import DATASETS
from afformer.export.choices import NEWEST_OPSET, OLDEST_OPSET, OPSET
from afformer.model.choices import CheckpointOptions
from afformer.spec import InputKind, OutputKind, Precision

_TITLES = {"normalisation": "normalisation", "weights": "weights", "classes": "class names"}
"""The facts of a spec's provenance."""


@click.command()
@click.argument("checkpoint", type=CheckpointFile)
@click.option("-o", "--out", type=FilePath, required=True, help="The .onnx file to write.")
@click.option("--size", "input_hw", type=hxw, required=True, help="Input size, from 64x64 up.")
@click.option("--batch", type=click.IntRange(1), default=1, show_default=True, help="Pictures per call.")
@enum_option(
    "--input",
    of=InputKind,
    default=InputKind.FLOAT32,
    help="Normalised RGB, NCHW; or RGB bytes, NHWC, with the normalisation in the graph.",
)
@enum_option(
    "--output",
    of=OutputKind,
    default=OutputKind.LOGITS,
    help="Logits at stride 8; or class ids at the input size, exact only for pictures of that size.",
)
@click.option(
    "--opset",
    type=click.IntRange(OLDEST_OPSET, NEWEST_OPSET),
    default=OPSET,
    show_default=True,
    help="ONNX operator set; older ones for older TensorRT, OpenVINO and OpenCV.",
)
@enum_option("--precision", of=(Precision.FP32, Precision.FP16), default=Precision.FP32)
@click.option(
    "--dataset", type=click.Choice(list(DATASETS)), help="Class names and colours. Default: what the file says."
)
@checkpoint_options(with_dataset=True)
@click.option("--verify-images", type=FilePath, help="Folder of pictures to verify on. Default: the bundled ones.")
@json_option
def export(
    *,
    checkpoint: Path,
    out: Path,
    input_hw: tuple[int, int],
    batch: int,
    input: InputKind,
    output: OutputKind,
    opset: int,
    precision: Precision,
    said: CheckpointOptions,
    verify_images: Path | None,
    as_json: bool,
) -> None:
    """Turn CHECKPOINT into an ONNX model that is verified against PyTorch.

    A verification picture that cannot be read is reported and left out; the exit code is then 1.
    """
    from afformer.export.exporter import ExportOptions, export_checkpoint

    options = ExportOptions(input_hw, batch, input, output, precision, opset=opset, checkpoint=said)
    report = export_checkpoint(checkpoint, out, options, verify_images)
    if as_json:
        print_json(report.to_json())
    else:
        for what, origin in report.spec.provenance.items():
            print_text(f"{_TITLES[what]}: {origin}")
        click.echo(f"verified against PyTorch: {report.verification.summary()}")
        if report.kept_float32:
            from afformer.export.half import kept_summary

            click.echo(kept_summary(report.kept_float32))
        click.echo(f"wrote {out}: {report.bytes / 1e6:.1f} MB, {report.nodes} nodes, in {report.seconds:.1f} s")
        click.echo(f"next: afformer-cli infer {out} PICTURE -o DIR")
    exit_with([failure.reason for failure in report.failures])
