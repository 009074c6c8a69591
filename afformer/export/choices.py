"""What a caller chooses when a network is exported; imports nothing heavy, so that the commands can offer it."""

from __future__ import annotations

OPSET = 20
"""The newest ONNX operator set that TensorRT 10.3, OpenVINO and ONNX Runtime all read; it includes Gelu."""
OLDEST_OPSET, NEWEST_OPSET = 17, 23
