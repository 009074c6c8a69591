"""The files of a run: its checkpoint, and beside it what it takes to go on, and the curve of loss and mIoU."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from afformer.errors import AfformerError
from afformer.files import check_writable, write_file
from afformer.model.checkpoint import check_suffix, write_saved
from afformer.train.curve import Check, curve_svg


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

    def save(self, state: dict[str, Any], checks: Sequence[Check], title: str) -> None:
        """Writes what it takes to go on, and the curve.

        Raises:
            OutputError: A file cannot be written.
        """
        history = [dataclasses.asdict(check) for check in checks]
        write_saved({"setting": self.setting, "checks": history, "state": state}, self.resume)
        write_file(self.curve, curve_svg(checks, title).encode())

    def load(self) -> tuple[dict[str, Any], list[Check]] | None:
        """The state and the checks of a run that was stopped, or None if there is none.

        Raises:
            AfformerError: It was a run with other options, or the file is damaged.
        """
        if not self.resume.exists():
            return None
        try:
            content = torch.load(self.resume, map_location="cpu", weights_only=True)
            setting, checks = content["setting"], [Check(**check) for check in content["checks"]]
            state: dict[str, Any] = content["state"]
        except Exception as error:  # a damaged archive can fail in any way while it is decoded
            reason = (str(error).splitlines() or [type(error).__name__])[0][:120]
            raise AfformerError(f"{self.resume}: cannot be read ({reason}); delete it to begin anew") from error
        other = [name for name in self.setting if setting.get(name) != self.setting[name]]
        if other:
            then = ", ".join(f"{name} {setting.get(name)} then and {self.setting[name]} now" for name in other)
            raise AfformerError(f"{self.resume}: is of another run ({then}); delete it to begin anew, or go on as then")
        return state, checks
