"""Results of a segmented picture for clients: mask, overlay, JSON or raw class ids."""

from __future__ import annotations

import dataclasses
import enum
import json
from typing import Any

import numpy as np

from afformer.images import ClassMap, RGBImage, encode_image, encode_mask
from afformer.runtime.choices import Regions
from afformer.runtime.regions import describe_classes
from afformer.runtime.render import Renderer
from afformer.serve.refusal import Refusal
from afformer.spec import ModelSpec


class Output(enum.Enum):
    """What comes back."""

    MASK = "mask"
    """An indexed PNG: pixels are class ids, colours the data set's."""
    OVERLAY = "overlay"
    """The picture with its classes drawn over it: JPEG, or PNG if only that is accepted."""
    JSON = "json"
    """Classes with their shares and, if asked for, their regions."""
    RAW = "raw"
    """Class ids row by row: bytes, or little-endian int32 above 256 classes."""


_BY_TYPE = {
    "image/png": Output.MASK,
    "image/jpeg": Output.OVERLAY,
    "application/json": Output.JSON,
    "application/octet-stream": Output.RAW,
    "image/*": Output.MASK,
    "application/*": Output.JSON,
    "*/*": Output.MASK,
}


@dataclasses.dataclass(frozen=True)
class Look:
    """How a result is written.

    Attributes:
        output: What it is.
        media_type: Its type.
        opacity: Of an overlay's colours, 0..1.
        outlines: Draw lines between an overlay's classes.
        names: Write names on an overlay's regions.
        regions: How JSON describes where a class is.
    """

    output: Output
    media_type: str
    opacity: float = 0.5
    outlines: bool = True
    names: bool = True
    regions: Regions = Regions.NONE


def choose(output: Output | None, accept: str | None) -> tuple[Output, str]:
    """The output that is asked for by name or by `Accept`, and its media type.

    Raises:
        Refusal: 406, nothing that is accepted can be made.
    """
    accepted = _accepted(accept or "*/*")
    if output is None:
        output = next((_BY_TYPE[kind] for kind in accepted if kind in _BY_TYPE), None)
    if output is None:
        raise Refusal(406, f"none of the accepted types can be made; expected one of {', '.join(_BY_TYPE)}")
    if output is Output.OVERLAY:
        ranks = {kind: rank for rank, kind in reversed(list(enumerate(accepted)))}
        only_png = "image/png" in ranks and ranks["image/png"] < ranks.get("image/jpeg", len(ranks))
        return output, "image/png" if only_png else "image/jpeg"
    types = {Output.MASK: "image/png", Output.JSON: "application/json", Output.RAW: "application/octet-stream"}
    return output, types[output]


def write_result(
    image: RGBImage, classmap: ClassMap, spec: ModelSpec, model: str, look: Look
) -> tuple[bytes, dict[str, str]]:
    """The response's body and the headers that describe it.

    Args:
        image: `(H, W, 3)` uint8 RGB.
        classmap: `(H, W)` class ids.
        spec: The model's.
        model: Its name.
        look: How the result is written.
    """
    headers = {"X-Model": model, "X-Size": f"{classmap.shape[1]}x{classmap.shape[0]}"}
    if look.output is Output.MASK:
        return encode_mask(classmap, spec.palette), headers
    if look.output is Output.OVERLAY:
        renderer = Renderer(spec.classes, spec.palette, look.opacity, look.outlines, names=look.names)
        suffix = ".png" if look.media_type == "image/png" else ".jpg"
        return encode_image(renderer.overlay(image, classmap), suffix), headers
    if look.output is Output.JSON:
        return json.dumps(_described(classmap, spec, model, look.regions)).encode(), headers
    little = classmap.dtype.newbyteorder("<")
    return np.ascontiguousarray(classmap, little).tobytes(), {**headers, "X-Datatype": classmap.dtype.name}


def _described(classmap: ClassMap, spec: ModelSpec, model: str, regions: Regions) -> dict[str, Any]:
    height, width = classmap.shape
    classes = describe_classes(classmap, spec.classes, regions)
    return {"model": model, "width": width, "height": height, "classes": classes}


def _accepted(accept: str) -> list[str]:
    """Media types by falling preference."""
    weighted: list[tuple[float, str]] = []
    for part in accept.lower().split(","):
        kind, *parameters = (piece.strip() for piece in part.split(";"))
        weights = [parameter[2:] for parameter in parameters if parameter.startswith("q=")]
        try:
            weight = float(weights[0]) if weights else 1.0
        except ValueError:
            weight = 0.0
        if weight > 0:
            weighted.append((-weight, kind))
    return [kind for _, kind in sorted(weighted, key=lambda entry: entry[0])]
