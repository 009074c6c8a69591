"""`afformer-cli inspect`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from afformer.commands.options import ModelFile, backend_option, json_option, open_model_options
from afformer.commands.report import print_json
from afformer.runtime.opening import OpenOptions


@click.command()
@click.argument("model", type=ModelFile)
@backend_option
@open_model_options
@json_option
def inspect(model: Path, open_options: OpenOptions, as_json: bool) -> None:
    """Show what MODEL says of itself: tensors, size, normalisation, classes, palette, origin."""
    from afformer.inspection import inspect_model

    facts = inspect_model(model, open_options)
    print_json(facts) if as_json else _print_facts(model, facts)


def _print_facts(model: Path, facts: dict[str, Any]) -> None:
    spec = facts["spec"]
    precision = f"{spec['precision']} for {spec['target']}" if spec["target"] else spec["precision"]
    click.echo(f"{model}: AFFormer-{spec['variant']}, {precision}, {facts['bytes'] / 1e6:.1f} MB")
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
