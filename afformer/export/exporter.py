"""Checkpoint -> ONNX."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from afformer import assets
from afformer.extras import requires_extra
from afformer.images import read_image
from afformer.runtime.backends.registry import open_backend
from afformer.streams.sources import open_pictures

if TYPE_CHECKING:
    from afformer.export.onnx import ExportOptions, ExportReport

VERIFY_LIMIT = 32
"""Pictures that an export is verified on at most."""


def export_checkpoint(
    checkpoint: Path, output: Path, options: ExportOptions, verify_images: Path | None = None
) -> ExportReport:
    """Exports a checkpoint to ONNX and verifies the file on real pictures.

    Args:
        checkpoint: Any AFFormer checkpoint file.
        output: The `.onnx` file to write.
        options: What the model shall be like.
        verify_images: Folder of pictures to verify on, `VERIFY_LIMIT` of them at most, evenly spread; None takes the
            bundled ones.

    Raises:
        AfformerError: The dependencies are missing, the checkpoint does not fit, the result differs, or a file cannot
            be read or written.
    """
    with requires_extra("export"):
        from afformer.export.onnx import export_onnx
    paths = open_pictures(verify_images).paths if verify_images else assets.pictures()
    step = -(-len(paths) // VERIFY_LIMIT)
    pictures = [read_image(path) for path in paths[::step]]
    return export_onnx(checkpoint, output, options, pictures, lambda path: open_backend(path, "onnxruntime").run)


def demo_model(folder: Path, say: Callable[[str], None]) -> Path:
    """The model for the demo: exported from the bundled checkpoint where PyTorch is installed, else the bundled one."""
    if not all(importlib.util.find_spec(name) for name in ("torch", "onnx", "onnxscript", "onnxsim", "safetensors")):
        say('PyTorch and ONNX are not installed (pip install "afformer[export]"): taking the model that is bundled')
        return assets.MODEL
    from afformer.export.onnx import ExportOptions

    output = folder / "afformer_tiny_camvid_360x480.onnx"
    say(f"exporting {assets.CHECKPOINT.name} at 360x480 and verifying it against PyTorch")
    report = export_checkpoint(assets.CHECKPOINT, output, ExportOptions((360, 480)))
    say(f"  {report.verification.summary()}")
    return output
