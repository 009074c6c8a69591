"""How large a picture may be."""

from __future__ import annotations

import os

from afformer.errors import ImageError

VARIABLE = "AFFORMER_MAX_PIXELS"
DEFAULT = 2**28
"""16384x16384: 768 MiB of pixels, and its overlay as much again."""


def check_size(width: int, height: int, title: str) -> None:
    """Refuses a picture that would fill the memory, before it is decoded.

    Raises:
        ImageError: It has more pixels than the environment variable `AFFORMER_MAX_PIXELS` allows, 2^28 by default, or
            that is not a number.
    """
    text = os.environ.get(VARIABLE, str(DEFAULT))
    if not (text.isascii() and text.isdecimal()):
        raise ImageError(
            f"{VARIABLE} is '{text}'; expected the largest number of pixels of a picture, such as {DEFAULT}"
        )
    if width * height > int(text):
        raise ImageError(
            f"{title}: has {width}x{height} pixels, more than the limit of {int(text)}; make it smaller, or set "
            f"{VARIABLE}={width * height} if the memory is large enough"
        )
