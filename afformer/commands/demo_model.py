"""The model that the demo runs."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

from afformer import assets
from afformer.export.exporter import ExportOptions, export_checkpoint
from afformer.extras import EXPORT_PACKAGES


def demo_model(folder: Path, say: Callable[[str], None]) -> Path:
    """Exports the bundled checkpoint if PyTorch is installed; otherwise takes the bundled model."""
    if not all(importlib.util.find_spec(name) for name in EXPORT_PACKAGES):
        say('PyTorch and ONNX are not installed (pip install "afformer[export]"): using the bundled model')
        return assets.MODEL
    output = folder / assets.MODEL.name
    say(f"exporting {assets.CHECKPOINT.name} at 360x480 and verifying it against PyTorch")
    report = export_checkpoint(assets.CHECKPOINT, output, ExportOptions((360, 480)))
    say(f"  {report.verification.summary()}")
    return output
