"""What all commands have in common."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest

from afformer import assets, datasets
from afformer.cli import main
from afformer.errors import AfformerError
from afformer.version import __version__
from tests.builders.cli import STREET, error_of, run, run_without


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], *[[name, "--help"] for name in sorted(main.commands)]]
)
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys; from afformer.cli import main\n"
        f"try: main({arguments!r})\n"
        "except SystemExit as stop: assert not stop.code\n"
        "heavy = {'numpy', 'cv2', 'torch', 'onnx', 'onnxruntime', 'tqdm'} & sys.modules.keys()\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@pytest.mark.parametrize("option", ["-V", "--version"])
def test_the_version_is_told(option: str) -> None:
    assert run(option).stdout == f"afformer-cli, version {__version__}\n"


def test_the_package_runs_as_a_module() -> None:
    done = subprocess.run([sys.executable, "-m", "afformer", "-V"], capture_output=True, text=True, check=True)
    assert done.stdout == run("-V").stdout


def test_the_choices_are_those_of_the_library() -> None:
    from afformer.quantize.observers import Method
    from afformer.quantize.placement import Target
    from afformer.runtime import Device, Fit
    from afformer.runtime.choices import Colours

    def choices(command: str, parameter: str) -> list[str]:
        options = {option.name: option.type for option in main.commands[command].params}
        kind = options[parameter]
        assert isinstance(kind, click.Choice)
        return list(kind.choices)

    assert choices("quantize", "target") == [target.value for target in Target]
    assert choices("quantize", "method") == [method.value for method in Method]
    assert choices("infer", "device") == [device.value for device in Device]
    assert choices("infer", "fit") == [fit.value for fit in Fit]
    assert choices("infer", "colours") == [colours.value for colours in Colours]
    assert choices("evaluate", "dataset") == list(datasets.DATASETS)


def test_commands_work_without_torch_and_onnx(tmp_path: Path, labelled: tuple[Path, Path]) -> None:
    images, labels = labelled
    for arguments in (
        ["infer", assets.MODEL, STREET, "-o", tmp_path / "out"],
        ["inspect", assets.MODEL],
        ["evaluate", assets.MODEL, "--images", images, "--labels", labels],
        ["compare", assets.MODEL, assets.MODEL, "--images", images],
    ):
        done = run_without(("torch", "onnx", "onnxscript", "onnxsim", "safetensors"), *arguments)
        assert (done.returncode, done.stderr) == (0, "")


def test_an_error_names_the_option_of_the_command_that_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise AfformerError("`input_hw` is too small\nfor `model`; change `fit=pad`")

    monkeypatch.setattr("afformer.inspection.inspect_model", fail)
    assert error_of(run("inspect", "model.onnx")) == "Error: --size is too small for MODEL; change --fit pad"
