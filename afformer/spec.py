"""`ModelSpec`: what a model file knows about itself, so that nobody has to retype it.

The spec is one JSON object in the metadata of an ONNX file, under `METADATA_KEY`, and in the JSON beside an engine; the
C++ runtime reads it as well. As in training, mean and std are on the 0..255 scale. They stand in the order of the
model's own channels, which is `color_order`: the first value belongs to the first channel of the input.
"""

from __future__ import annotations

import dataclasses
import enum
import json
import math
from typing import Any

from afformer.choice import Choice
from afformer.errors import SpecError
from afformer.foreign import UNREADABLE, quoted, reason, text

METADATA_KEY = "afformer_spec"
SPEC_VERSION = 1
FOREIGN = "unknown"
"""The variant of a model that somebody else exported."""
STRIDE = 8
"""Input pixels that a cell of AFFormer's logits covers, along each axis."""

IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_STD = (58.395, 57.12, 57.375)

RGB = tuple[int, int, int]
Channels = tuple[float, float, float]
"""One value per channel, in the order that is named beside it."""


class ColorOrder(Choice):
    """Order of the channels in a picture or in a model's input."""

    RGB = "rgb"
    BGR = "bgr"


class InputKind(Choice):
    """Content of the model's input tensor `image`."""

    FLOAT32 = "float32"
    """`(n, 3, H, W)` float32, in the model's channel order, already normalised with mean and std."""
    UINT8 = "uint8"
    """`(n, H, W, 3)` uint8, bytes in the model's channel order; the normalisation is in the graph."""


class OutputKind(Choice):
    """Content of the model's output tensor, which has the value's name."""

    LOGITS = "logits"
    """`logits`: `(n, classes, ceil(H/stride), ceil(W/stride))` float32."""
    CLASSMAP = "classmap"
    """`classmap`: `(n, H, W)` uint8 (int32 above 256 classes) class ids at the input size."""


class Precision(Choice):
    """The number format of weights and arithmetic inside the model."""

    FP32 = "fp32"
    FP16 = "fp16"
    INT8 = "int8"


class Target(Choice):
    """What an INT8 model is made for."""

    X86 = "x86"
    """ONNX Runtime on x86-64: integer operators, channels last."""
    ARM = "arm"
    """ONNX Runtime on ARM: the same with signed activations."""
    TENSORRT = "tensorrt"
    """TensorRT 10 and 11: explicit Q/DQ, symmetric, float bias."""
    GENERIC = "generic"
    """Explicit Q/DQ for engines that fuse it themselves; OpenVINO's fastest form."""


@dataclasses.dataclass(frozen=True)
class ModelSpec:
    """Everything besides the network that its answer depends on.

    Attributes:
        variant: `tiny`, `small` or `base`; `FOREIGN` of other models.
        input_hw: Height and width of the network's input, in pixels.
        classes: Class names; the index is the class id.
        palette: One RGB colour (0..255) per class.
        dataset: The label convention's name (`camvid`, ...), or `custom`.
        batch: Pictures per call.
        input: Content of the input tensor.
        output: Content of the output tensor.
        precision: Number format inside the model.
        target: What an INT8 model is made for; None for other models, and for INT8 files from before it was written.
        mean: Mean of each channel, in `color_order`, 0..255 scale.
        std: Standard deviation of each channel, likewise.
        color_order: Order of the input's channels.
        checkpoint_sha256: Hex digest of the checkpoint file.
        tools: Versions of the tools that made the model, by name.
        reduce_zero_label: Whether the labels in training counted from 1, with 0 ignored; None where nothing says it.
        provenance: Where `normalisation`, `weights` and `classes` are from, one sentence each; empty where unknown.
        stride: Input pixels that a cell of the logits covers, along each axis.
        input_name: Name of the input tensor; empty for this package's own, `image`.
        output_name: Name of the output tensor; empty for this package's own, `logits` or `classmap`.
    """

    variant: str
    input_hw: tuple[int, int]
    classes: tuple[str, ...]
    palette: tuple[RGB, ...]
    dataset: str = "custom"
    batch: int = 1
    input: InputKind = InputKind.FLOAT32
    output: OutputKind = OutputKind.LOGITS
    precision: Precision = Precision.FP32
    mean: Channels = IMAGENET_MEAN
    std: Channels = IMAGENET_STD
    checkpoint_sha256: str = ""
    tools: dict[str, str] = dataclasses.field(default_factory=dict)
    target: Target | None = None
    reduce_zero_label: bool | None = None
    color_order: ColorOrder = ColorOrder.RGB
    provenance: dict[str, str] = dataclasses.field(default_factory=dict)
    stride: int = STRIDE
    input_name: str = ""
    output_name: str = ""

    def __post_init__(self) -> None:
        problem = self._problem()
        if problem:
            raise SpecError(f"model spec: {problem}")

    def _problem(self) -> str | None:
        if len(self.mean) != 3 or len(self.std) != 3 or not all(map(math.isfinite, (*self.mean, *self.std))):
            return "mean and std must have three finite values each"
        if min(self.std) <= 0:
            return "std must be above 0"
        if min(self.input_hw) < 1 or self.batch < 1:
            return f"input size and batch must be positive, got {self.input_hw} and {self.batch}"
        if self.stride < 1:
            return f"stride must be 1 or more, got {self.stride}"
        if self.target and self.precision is not Precision.INT8:
            return f"only INT8 models have a target, but this is {self.precision.value} for {self.target.value}"
        return self._label_problem()

    def _label_problem(self) -> str | None:
        if len(self.palette) != len(self.classes):
            return f"palette must have one colour a class ({len(self.classes)}), got {len(self.palette)}"
        if not self.classes:
            return "there must be at least one class"
        if any(len(colour) != 3 or not all(0 <= v <= 255 for v in colour) for colour in self.palette):
            return "palette colours must be three integers from 0 to 255"
        try:
            for name in (self.variant, self.dataset, self.input_name, self.output_name, *self.classes):
                text(name)
        except ValueError as error:
            return str(error)
        return None

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.classes)

    @property
    def logits_hw(self) -> tuple[int, int]:
        """Height and width of the logits: the input's over the stride, rounded up."""
        height, width = self.input_hw
        return -(-height // self.stride), -(-width // self.stride)

    def to_json(self) -> str:
        """The spec as one JSON object, starting with the version of its format."""
        fields = {"spec_version": SPEC_VERSION, **dataclasses.asdict(self), **_implied(self.input)}
        fields["color_order"] = self.color_order.name
        for name in _ONLY_OF_FOREIGN_MODELS:
            if not fields[name]:
                del fields[name]
        return json.dumps({k: v.value if isinstance(v, enum.Enum) else v for k, v in fields.items()})

    @classmethod
    def from_metadata(cls, text: str | None, where: str) -> ModelSpec:
        """Reads the text that a model file has under `METADATA_KEY`; `where` names the file in errors.

        Raises:
            SpecError: There is no text, or it is not a readable spec.
        """
        if text is None:
            raise SpecError(
                f"{where}: has no '{METADATA_KEY}' in its metadata, so its size, classes and normalisation are "
                "unknown; export it with `afformer-cli export`, or say them in a file, which `afformer-cli inspect "
                "MODEL --write-spec spec.json` starts, and name that as `spec`"
            )
        return cls.from_json(text, where)

    @classmethod
    def from_json(cls, text: str, where: str = "model spec", remedy: str = "export the model again") -> ModelSpec:
        """Reads `to_json`'s output; `where` names the file in errors, `remedy` says what helps.

        Raises:
            SpecError: The text is not a spec, or of another format.
        """
        try:
            fields = json.loads(text)
            version = fields["spec_version"]
            if version == SPEC_VERSION:
                return cls(**_parsed(fields))
        except SpecError as error:
            raise SpecError(f"{where}: its spec cannot be read ({error}); {remedy}") from error
        except UNREADABLE as error:
            raise SpecError(f"{where}: its spec cannot be read ({reason(error)}); {remedy}") from error
        raise SpecError(
            f"{where}: spec format {quoted(version)}, but this version reads format {SPEC_VERSION}; "
            f"use a matching afformer version or {remedy}"
        )


_ONLY_OF_FOREIGN_MODELS = ("input_name", "output_name")
"""Fields that are left out of the JSON where they are empty."""


def _implied(kind: InputKind) -> dict[str, Any]:
    """Fields that follow from the others, written for readers other than this package."""
    return {"layout": "NCHW" if kind is InputKind.FLOAT32 else "NHWC"}


def _parsed(fields: dict[str, Any]) -> dict[str, Any]:
    for name, value in _implied(InputKind(fields["input"])).items():
        if fields[name] != value:
            raise ValueError(f"{name} is {quoted(fields[name])}, only {value!r} is known")
    height, width = fields["input_hw"]
    return {
        "variant": text(fields["variant"]),
        "input_hw": (_whole(height), _whole(width)),
        "classes": tuple(text(name) for name in fields["classes"]),
        "palette": tuple((int(r), int(g), int(b)) for r, g, b in fields["palette"]),
        "dataset": text(fields["dataset"]),
        "batch": _whole(fields["batch"]),
        "input": InputKind(fields["input"]),
        "output": OutputKind(fields["output"]),
        "precision": Precision(fields["precision"]),
        "target": Target(fields["target"]) if fields.get("target") else None,
        "mean": tuple(float(v) for v in fields["mean"]),
        "std": tuple(float(v) for v in fields["std"]),
        "color_order": ColorOrder[fields["color_order"]],
        "checkpoint_sha256": text(fields["checkpoint_sha256"]),
        "tools": {text(k): text(v) for k, v in fields["tools"].items()},
        "provenance": {text(k): text(v) for k, v in fields.get("provenance", {}).items()},
        "reduce_zero_label": _yes_no(fields.get("reduce_zero_label")),
        "stride": _whole(fields["stride"]),
        "input_name": text(fields.get("input_name", "")),
        "output_name": text(fields.get("output_name", "")),
    }


def _whole(value: Any) -> int:
    if isinstance(value, bool) or int(value) != value:
        raise ValueError(f"{quoted(value)} is not a whole number")
    return int(value)


def _yes_no(value: Any) -> bool | None:
    if value is not None and not isinstance(value, bool):
        raise ValueError(f"reduce_zero_label is {value!r}, expected true, false or null")
    return value
