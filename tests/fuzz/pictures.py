"""Picture files."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from afformer.images import read_image
from tests.fuzz.targets import Target

_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF", "PPM", "JPEG2000", "AVIF")


def _run(path: Path) -> None:
    image = read_image(path)
    assert image.dtype == np.uint8
    assert image.shape[2] == len("RGB")


def _encoded(image: Image.Image, form: str) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form)
    return buffer.getvalue()


def _seeds() -> list[bytes]:
    pixels = np.random.default_rng(1).integers(0, 256, (12, 17, 3), np.uint8)
    colour, grey = Image.fromarray(pixels), Image.fromarray(pixels[..., 0])
    deep = Image.fromarray(pixels[..., 0].astype(np.uint16) * 257)
    return [
        *(_encoded(colour, form) for form in _FORMATS),
        *(_encoded(grey, form) for form in ("PNG", "JPEG", "TIFF")),
        *(_encoded(deep, form) for form in ("PNG", "TIFF")),
        _encoded(colour.convert("CMYK"), "JPEG"),
        _encoded(colour.convert("RGBA"), "PNG"),
        _encoded(colour.convert("P"), "PNG"),
    ]


TARGET = Target(_run, _seeds, None, ("afformer.images", "afformer.png"), ".img")
