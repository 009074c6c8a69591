"""Building with TensorRT-RTX, which needs its package but no GPU."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from afformer.tensorrt.builder import EngineOptions, EngineReport, Site, build_engine
from afformer.tensorrt.onnx_source import read_source
from afformer.tensorrt.packages import install_command, installed
from afformer.tensorrt.plan_file import Library

needs_rtx = pytest.mark.skipif(
    not installed(Library.TENSORRT_RTX),
    reason=f"TensorRT-RTX is not installed: {install_command(Library.TENSORRT_RTX)}",
)


def build_with_rtx(model: onnx.ModelProto, folder: Path) -> EngineReport:
    """Builds an engine of a model, in the precision that its spec names."""
    onnx.save(model, folder / "model.onnx")
    options = EngineOptions(library=Library.TENSORRT_RTX)
    return build_engine(read_source(folder / "model.onnx"), folder / "model.engine", options, Site())
