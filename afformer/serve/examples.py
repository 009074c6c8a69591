"""What OpenAPI says of requests beyond their options: bodies, answers and examples."""

from __future__ import annotations

from typing import Any

_FILE = {"schema": {"type": "string", "format": "binary"}}
_JSON = {
    "model": "camvid",
    "width": 1280,
    "height": 720,
    "classes": [
        {
            "id": 3,
            "name": "Road",
            "pixels": 368640,
            "share": 0.4,
            "polygons": [[0, 432, 1280, 432, 1280, 720, 0, 720]],
        }
    ],
}


def _error(description: str, message: str) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"example": {"error": message}}}}


REQUEST: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "image/jpeg": _FILE,
            "image/png": _FILE,
            "image/webp": _FILE,
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {"picture": {"type": "string", "format": "binary"}},
                    "required": ["picture"],
                }
            },
        },
    },
    "x-codeSamples": [
        {"lang": "sh", "source": "curl --data-binary @street.jpg localhost:8000/v1/segment -o mask.png"},
        {
            "lang": "sh",
            "source": "curl -F picture=@street.jpg 'localhost:8000/v1/segment?output=overlay' -o overlay.jpg",
        },
        {"lang": "sh", "source": "curl --data-binary @street.jpg 'localhost:8000/v1/segment?output=json&regions=rle'"},
    ],
}
"""The body of `/v1/segment`, and command lines to try."""

INFER: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "example": {
                    "inputs": [{"name": "image", "datatype": "UINT8", "shape": [1, 360, 480, 3], "data": [0, 0, 0]}],
                    "outputs": [{"name": "classmap", "parameters": {"binary_data": False}}],
                }
            },
            "application/octet-stream": _FILE,
        },
    }
}
"""The body of `infer`: JSON, or JSON and tensors behind it."""

RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The segmented picture.",
        "content": {
            "image/png": _FILE,
            "image/jpeg": _FILE,
            "application/json": {"example": _JSON},
            "application/octet-stream": _FILE,
        },
    },
    400: _error(
        "A damaged picture, a wrong option, or a model that is not loaded.", "picture: is truncated or damaged"
    ),
    401: _error("No API key, or a wrong one.", "this server needs an API key"),
    404: _error("No such model.", "Request for unknown model: 'x' is not found"),
    406: _error("Nothing that is accepted can be made.", "none of the accepted types can be made"),
    413: _error(
        "Too large.", "the picture has 60000x60000 pixels, but at most 40000000 are allowed; send a smaller one"
    ),
    415: _error("Not a picture.", "the body is not a picture that can be read"),
    503: _error("Busy; `Retry-After` says when to try again.", "model 'camvid': 64 requests wait already"),
}
"""What comes back."""
