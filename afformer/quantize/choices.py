"""What a caller chooses when a model is quantized; imports nothing heavy, so that the commands can offer it."""

from __future__ import annotations

from afformer.choice import Choice


class Target(Choice):
    """What the INT8 model is made for."""

    X86 = "x86"
    """ONNX Runtime on x86-64: integer operators, channels last."""
    ARM = "arm"
    """ONNX Runtime on ARM: the same with signed activations."""
    TENSORRT = "tensorrt"
    """TensorRT 10 and 11: explicit Q/DQ, symmetric, float bias."""
    GENERIC = "generic"
    """Explicit Q/DQ for engines that fuse it themselves; OpenVINO's fastest form."""


class Method(Choice):
    """How a range is chosen."""

    MINMAX = "minmax"
    AVERAGE = "average"
    PERCENTILE = "percentile"
    MSE = "mse"

    @property
    def needs_values(self) -> bool:
        """Whether every value must be counted, not just each picture's smallest and largest."""
        return self in (Method.PERCENTILE, Method.MSE)
