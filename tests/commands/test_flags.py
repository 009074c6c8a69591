from __future__ import annotations

import click
import pytest

from afformer.cli import main
from afformer.commands.flags import with_flags


@pytest.mark.parametrize(
    ("command", "text", "shown"),
    [
        ("quantize", "`max_drop` must be 0 or more", "--max-drop must be 0 or more"),
        ("quantize", "`val_labels` needs `val_images`", "--val-labels needs --val-images"),
        ("quantize", "try `method=mse` or `method='percentile'`", "try --method mse or --method percentile"),
        ("quantize", "accept it with `allow_drop=True`", "accept it with --allow-drop"),
        ("quantize", "`calibration` is empty", "--calibration is empty"),
        ("engine", "`calibration` is empty", "--images is empty"),
        ("engine", "`workspace_mib` must be 1 or more", "--workspace must be 1 or more"),
        ("engine", "`timing_cache` is not for `library`", "--timing-cache is not for --rtx"),
        ("export", "`output` must be logits, `input_hw` 64x64", "--output must be logits, --size 64x64"),
        ("benchmark", "`models` are missing", "MODEL... are missing"),
        ("infer", "needs `folder`, or `json_lines`", "needs --out, or --write jsonl"),
    ],
)
def test_parameters_are_shown_as_the_commands_flags(command: str, text: str, shown: str) -> None:
    assert with_flags(text, main.commands[command]) == shown


@pytest.mark.parametrize(
    "text",
    [
        "export it with `afformer-cli export`",
        'run `pip install "afformer[export]"`',
        "`unknown` is not a parameter, nor is `unknown=3`",
        "max_drop without backquotes",
        "`Method` and `--size 64x64` and ``",
        "",
    ],
)
def test_everything_else_stays_as_it_is(text: str) -> None:
    assert with_flags(text, main.commands["quantize"]) == text


def test_a_parameter_with_a_value_may_be_another_commands() -> None:
    text = "export it with `output=logits`, not `output`, for `fit=slide`"
    shown = with_flags(text, main.commands["infer"], main.commands.values())
    assert shown == "export it with --output logits, not `output`, for --fit slide"


def test_the_longest_form_of_an_option_is_shown() -> None:
    @click.command()
    @click.option("-o", "--out", "-x")
    def command(out: str) -> None:
        """Nothing."""

    assert with_flags("`out`", command) == "--out"
