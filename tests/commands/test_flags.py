from __future__ import annotations

import click

from afformer.commands.flags import with_flags


@click.command()
@click.option("-m", "--max-drop")
@click.option("--input", "input_kind")
@click.argument("model")
def command(**_: object) -> None:
    """Stands for any command."""


def test_parameters_of_the_command_are_named_by_their_options() -> None:
    assert with_flags("raise `max_drop`, or change `input_kind`", command) == "raise --max-drop, or change --input"


def test_what_is_no_option_of_the_command_stays_as_it_is() -> None:
    message = "raise `budget`, name another `model`, run `pip install onnx`"
    assert with_flags(message, command) == message
    assert with_flags("raise `max_drop`", None) == "raise `max_drop`"
