"""`afformer-cli inspect`."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import click

from afformer.commands.flags import with_flags
from afformer.commands.options import (
    FilePath,
    ModelFile,
    backend_option,
    json_option,
    open_model_options,
)
from afformer.commands.report import print_json
from afformer.runtime.opening import OpenOptions
from afformer.spec import FOREIGN


@click.command()
@click.argument("model", type=ModelFile)
@click.option(
    "--write-spec",
    "spec_file",
    type=FilePath,
    metavar="FILE.json",
    help="Write the spec into a file; of a model without one, what its graph, --mean, --classes, ... tell of it.",
)
@backend_option
@functools.partial(open_model_options, runs=False)
@json_option
def inspect(model: Path, spec_file: Path | None, open_options: OpenOptions, as_json: bool) -> None:
    """Show what MODEL says about itself: tensors, size, normalisation, classes, palette, origin.

    An ONNX model that somebody else exported says nothing. --write-spec drafts a spec of it, to be corrected and then
    named as --spec wherever the model is.
    """
    from afformer.inspection import inspect_model, save_spec

    if spec_file:
        open_options, assumed = save_spec(model, spec_file, open_options)
        for sentence in assumed:
            click.echo(with_flags(sentence, click.get_current_context().command), err=True)
        click.echo(f"wrote {spec_file}{'; check it before you use it' if assumed else ''}", err=True)
    facts = inspect_model(model, open_options)
    print_json(facts) if as_json else _print_facts(model, facts)


def _print_facts(model: Path, facts: dict[str, Any]) -> None:
    spec = facts["spec"]
    precision = f"{spec['precision']} for {spec['target']}" if spec["target"] else spec["precision"]
    name = "a model of unknown make" if spec["variant"] == FOREIGN else f"AFFormer-{spec['variant']}"
    click.echo(f"{model}: {name}, {precision}, {facts['bytes'] / 1e6:.1f} MB")
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
