"""The files of a run: its checkpoint, and beside it what it takes to go on, and the curve of loss and mIoU."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor

from afformer.errors import AfformerError
from afformer.files import check_writable, write_file
from afformer.foreign import UNREADABLE, quoted, reason
from afformer.model.checkpoint import check_suffix
from afformer.train.curve import Check, curve_svg

_SAID = "run"
"""The key of the safetensors metadata that holds setting and checks as JSON."""


@dataclasses.dataclass(frozen=True)
class RunFiles:
    """Where a run writes.

    Attributes:
        checkpoint: `.pth` or `.safetensors`.
        setting: What must be the same for a run to go on, as text by name.
    """

    checkpoint: Path
    setting: dict[str, str]

    @property
    def resume(self) -> Path:
        """What it takes to go on."""
        return self.checkpoint.with_suffix(".resume")

    @property
    def curve(self) -> Path:
        """The plot."""
        return self.checkpoint.with_suffix(".svg")

    def check(self, init: Path | None) -> None:
        """Fails before training whose result could not be written.

        Args:
            init: The checkpoint that training starts from.

        Raises:
            OutputError: A file cannot be written there, or not under that name.
        """
        check_suffix(self.checkpoint)
        for path in (self.checkpoint, self.resume, self.curve):
            check_writable(path, [init])

    def save(self, state: Mapping[str, Tensor], checks: Sequence[Check], title: str) -> None:
        """Writes what it takes to go on, and the curve.

        Args:
            state: The tensors of a run, by name.
            checks: What was found so far.
            title: Of the curve.

        Raises:
            OutputError: A file cannot be written.
        """
        said = {"setting": self.setting, "checks": [check.to_json() for check in checks]}
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
        write_file(self.resume, safetensors.torch.save(tensors, {_SAID: json.dumps(said)}))
        write_file(self.curve, curve_svg(checks, title).encode())

    def load(self, state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], list[Check]] | None:
        """The tensors and the checks of a run that was stopped, or None if there is none.

        Args:
            state: Tensors of the names, shapes and types that are expected.

        Raises:
            AfformerError: It was a run with other options, or the file is damaged.
        """
        if not self.resume.exists():
            return None
        try:
            if not self.resume.is_file():  # a pipe would never be opened
                raise ValueError("not a regular file")
            with safetensors.safe_open(self.resume, "pt") as file:
                said = json.loads(file.metadata()[_SAID])
                setting, checks = dict(said["setting"]), [Check.from_json(check) for check in said["checks"]]
                self._require_same(setting)
                return _fitting(file, state), checks
        except (OSError, safetensors.SafetensorError, *UNREADABLE) as error:
            raise self.damaged(error) from error

    def damaged(self, error: Exception) -> AfformerError:
        """What to tell of a file that cannot be taken up."""
        return AfformerError(f"{self.resume}: cannot be read ({reason(error)}); delete it to begin anew")

    def _require_same(self, setting: dict[str, Any]) -> None:
        other = [name for name in self.setting if setting.get(name) != self.setting[name]]
        if other:
            then = ", ".join(f"{name} {_shown(setting.get(name))} then and {self.setting[name]} now" for name in other)
            raise AfformerError(f"{self.resume}: is of another run ({then}); delete it to begin anew, or go on as then")


def _fitting(file: Any, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a file that has exactly those of `state`."""
    if set(file.keys()) != set(state):
        raise ValueError("it holds other tensors than this network has")
    found: dict[str, Tensor] = {name: file.get_tensor(name) for name in state}
    for name, tensor in found.items():
        if (tensor.shape, tensor.dtype) != (state[name].shape, state[name].dtype):
            raise ValueError(f"{name} is {tensor.dtype} of {tuple(tensor.shape)}")
    return found


def _shown(value: object) -> str:
    return (
        " ".join(value.encode(errors="backslashreplace").decode().split()) if isinstance(value, str) else quoted(value)
    )
