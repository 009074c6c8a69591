"""Building with TensorRT-RTX, which needs its package but no GPU."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from afformer.tensorrt.build_engine import EngineReport, build_engine
from afformer.tensorrt.options import EngineOptions
from afformer.tensorrt.packages import Library, install_command, installed

needs_rtx = pytest.mark.skipif(
    not installed(Library.TENSORRT_RTX),
    reason=f"TensorRT-RTX is not installed: {install_command(Library.TENSORRT_RTX)}",
)


def build_with_rtx(model: onnx.ModelProto, folder: Path) -> EngineReport:
    """Builds an engine of a model, in the precision that its spec names."""
    onnx.save(model, folder / "model.onnx")
    options = EngineOptions(library=Library.TENSORRT_RTX)
    return build_engine(folder / "model.onnx", folder / "model.engine", options=options).engine
