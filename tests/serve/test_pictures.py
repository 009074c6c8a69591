"""What is known of a picture before it is decoded."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from afformer.serve.options import Limits
from afformer.serve.pictures import picture_size
from afformer.serve.refusal import Refusal


@pytest.mark.parametrize("width", [10_000, 20_000])
def test_the_limit_of_pixels_is_ours_and_not_pillows(width: int) -> None:
    data = io.BytesIO()
    Image.new("1", (width, 10_000)).save(data, "PNG")
    assert picture_size(data.getvalue(), Limits(pixels=width * 10_000)) == (10_000, width)
    with pytest.raises(Refusal, match=f"has {width}x10000 pixels, but at most {width * 10_000 - 1} are allowed"):
        picture_size(data.getvalue(), Limits(pixels=width * 10_000 - 1))
