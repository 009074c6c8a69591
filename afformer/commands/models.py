"""Commands that make a model, or say what it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from afformer.commands.options import (
    DATASETS,
    FilePath,
    backend_option,
    hxw,
    json_option,
    open_model_options,
    open_options_from,
)
from afformer.commands.report import count, print_json, step_bars

TARGETS = ("x86", "arm", "tensorrt", "generic")
METHODS = ("average", "minmax", "percentile", "entropy", "mse")


@click.command()
@click.argument("checkpoint", type=FilePath)
@click.option("-o", "--out", type=FilePath, required=True, help="The .onnx file to write.")
@click.option("--size", type=hxw, required=True, help="Input size, from 64x64 up.")
@click.option("--batch", type=click.IntRange(1), default=1, show_default=True, help="Pictures a call.")
@click.option(
    "--input",
    "input_kind",
    type=click.Choice(["float32", "uint8"]),
    default="float32",
    show_default=True,
    help="Normalised RGB, NCHW; or RGB bytes, NHWC, with the normalisation in the graph.",
)
@click.option(
    "--output",
    "output_kind",
    type=click.Choice(["logits", "classmap"]),
    default="logits",
    show_default=True,
    help="Logits at stride 8; or class ids at the input size, exact only for pictures of that size.",
)
@click.option("--precision", type=click.Choice(["fp32", "fp16"]), default="fp32", show_default=True)
@click.option("--dataset", type=click.Choice(DATASETS), help="Class names and colours; default: what the file says.")
@click.option("--verify-images", type=FilePath, help="Folder of pictures to verify on; default: the bundled ones.")
@json_option
def export(checkpoint: Path, out: Path, as_json: bool, verify_images: Path | None, **choices: Any) -> None:
    """Turn CHECKPOINT into an ONNX model that is verified against PyTorch."""
    from afformer.export.exporter import export_checkpoint
    from afformer.extras import requires_extra

    with requires_extra("export"):
        from afformer.export.onnx import ExportOptions
    from afformer.spec import InputKind, OutputKind, Precision

    options = ExportOptions(
        input_hw=choices["size"],
        batch=choices["batch"],
        input=InputKind(choices["input_kind"]),
        output=OutputKind(choices["output_kind"]),
        precision=Precision(choices["precision"]),
        dataset=choices["dataset"],
    )
    report = export_checkpoint(checkpoint, out, options, verify_images)
    if as_json:
        print_json(report.to_json())
        return
    click.echo(f"verified against PyTorch: {report.verification.summary()}")
    click.echo(f"wrote {out}: {report.bytes / 1e6:.1f} MB, {report.nodes} nodes, in {report.seconds:.1f} s")
    click.echo(f"next: afformer-cli infer {out} PICTURE -o DIR")


@click.command()
@click.argument("model", type=FilePath)
@click.option("--calibration", type=FilePath, required=True, help="Folder of pictures like those the model will see.")
@click.option("-o", "--out", type=FilePath, help="The INT8 file to write; default: MODEL with .int8 in its name.")
@click.option("--target", type=click.Choice(TARGETS), default="x86", show_default=True, help="What it is made for.")
@click.option(
    "--method", type=click.Choice(METHODS), default="average", show_default=True, help="How ranges are chosen."
)
@click.option("--max-drop", type=click.FloatRange(0), help="Points of mIoU (without labels: of pixels) it may lose.")
@click.option("--val-images", type=FilePath, help="Folder of pictures to measure on; default: those of --calibration.")
@click.option("--val-labels", type=FilePath, help="Folder of their labels; default: the float model is the truth.")
@click.option("--dataset", type=click.Choice(DATASETS), help="Label convention; default: the model's own data set.")
@click.option("--pictures", type=click.IntRange(1), default=64, show_default=True, help="Calibration pictures to use.")
@click.option(
    "--weight-bits",
    type=click.Choice(["7", "8"]),
    help="Default: 7 for x86, so that processors without VNNI give the same answer; 8 for the others.",
)
@click.option("--budget", type=click.IntRange(1), help="Candidates that the search may score.")
@click.option("--allow-drop", is_flag=True, help="Accept a larger drop.")
@click.option("--allow-slower", is_flag=True, help="Accept a model that is not faster than float on this machine.")
@backend_option
@open_model_options
@json_option
def quantize(model: Path, calibration: Path, out: Path | None, as_json: bool, **choices: Any) -> None:
    """Quantize MODEL to INT8 and measure what that costs and saves against float."""
    from afformer.extras import requires_extra
    from afformer.quantize.quantize_model import quantize_model

    with requires_extra("quantize"):
        from afformer.quantize.observers import Method
        from afformer.quantize.placement import Target
        from afformer.quantize.quantizer import QuantizeOptions
        from afformer.quantize.search import BUDGET

    options = QuantizeOptions(
        target=Target(choices["target"]),
        method=Method(choices["method"]),
        max_drop=choices["max_drop"],
        pictures=choices["pictures"],
        weight_bits=int(choices["weight_bits"]) if choices["weight_bits"] else None,
        budget=choices["budget"] or BUDGET,
        allow_drop=choices["allow_drop"],
        allow_slower=choices["allow_slower"],
    )
    out = out or model.with_name(f"{model.stem}.int8.onnx")
    with step_bars() as progress:
        report = quantize_model(
            model,
            out,
            calibration,
            options=options,
            val_images=choices["val_images"],
            val_labels=choices["val_labels"],
            dataset=choices["dataset"],
            open_options=open_options_from(choices),
            progress=progress,
        )
    click.echo(report.to_json() if as_json else report.summary())


@click.command()
@click.argument("model", type=FilePath)
@backend_option
@open_model_options
@json_option
def inspect(model: Path, as_json: bool, **options: Any) -> None:
    """Show what MODEL says of itself: tensors, size, normalisation, classes, palette, origin."""
    from afformer.inspection import inspect_model

    facts = inspect_model(model, open_options_from(options))
    if as_json:
        print_json(facts)
        return
    spec = facts["spec"]
    click.echo(f"{model}: AFFormer-{spec['variant']}, {spec['precision']}, {facts['bytes'] / 1e6:.1f} MB")
    for kind, tensor in facts["tensors"].items():
        shape = "x".join(map(str, tensor["shape"]))
        click.echo(f"{kind:<11} {tensor['name']}: {tensor['dtype']} {shape}")
    click.echo(f"{'pixels':<11} {spec['color_order']}, mean {tuple(spec['mean'])}, std {tuple(spec['std'])}")
    click.echo(f"{'data set':<11} {spec['dataset']}, {len(spec['classes'])} classes")
    click.echo(f"{'checkpoint':<11} sha256 {spec['checkpoint_sha256'] or 'unknown'}")
    click.echo(f"{'made with':<11} {', '.join(f'{k} {v}' for k, v in spec['tools'].items()) or 'unknown'}")
    for index, (name, colour) in enumerate(zip(spec["classes"], spec["palette"], strict=True)):
        swatch = click.style("    ", bg=tuple(colour))
        click.echo(f"  {index:>3} {swatch} {' '.join(name.split())} #{colour[0]:02x}{colour[1]:02x}{colour[2]:02x}")


@click.command()
@click.argument("model", type=FilePath)
@click.option("-o", "--out", type=FilePath, required=True, help="Folder to make; must be empty or not there.")
@json_option
def package(model: Path, out: Path, as_json: bool) -> None:
    """Put MODEL, its spec and labels, and the C++ runtime into one folder for a device.

    MODEL is an .onnx, which runs on ONNX Runtime there (INT8: that of the targets x86 and arm), or an .engine with its
    JSON beside it. The folder's README has the lines that build and run it.
    """
    from afformer.package import package_model

    packed = package_model(model, out)
    if as_json:
        print_json(packed.to_json())
        return
    click.echo(f"packed {count(len(packed.files), 'file')}, {packed.bytes / 1e6:.1f} MB; read {out / 'README.md'}")
