"""Segmentation inside a FastAPI application of your own.

    pip install ".[serve]"
    AFFORMER_MODEL=model.onnx uvicorn --app-dir examples fastapi_app:app

    curl -F picture=@street.jpg localhost:8000/shares
    curl -F picture=@street.jpg localhost:8000/mask -o mask.png

`afformer-cli serve` is a whole server, with a queue, limits and metrics. This is for applications that have their own.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator

import numpy as np
from fastapi import FastAPI, HTTPException, Request, Response, UploadFile

from afformer import AfformerError, Segmenter, assets
from afformer.images import ClassMap, encode_mask


@contextlib.asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Opens the model once. Any number of threads may call one segmenter."""
    with Segmenter(assets.file_or_bundled(os.environ.get("AFFORMER_MODEL", assets.NAME))) as segment:
        app.state.segment = segment
        yield


app = FastAPI(title="Streets", lifespan=lifespan)


# Plain functions, not async ones: FastAPI runs them in threads, and the event loop stays free while the model computes.
@app.post("/shares")
def shares(request: Request, picture: UploadFile) -> dict[str, float]:
    """Share of the picture that each class covers, those that are in it, the largest first."""
    segment: Segmenter = request.app.state.segment
    classmap = segmented(segment, picture)
    counts = np.bincount(classmap.ravel(), minlength=len(segment.spec.classes))
    order = [int(id) for id in np.argsort(-counts, kind="stable") if counts[id]]
    return {segment.spec.classes[id]: counts[id] / classmap.size for id in order}


@app.post("/mask", response_class=Response)
def mask(request: Request, picture: UploadFile) -> Response:
    """The class map as an indexed PNG."""
    segment: Segmenter = request.app.state.segment
    return Response(encode_mask(segmented(segment, picture), segment.spec.palette), media_type="image/png")


def segmented(segment: Segmenter, picture: UploadFile) -> ClassMap:
    """The class map of an uploaded picture; what is not a picture is answered with 400."""
    try:
        return segment(picture.file.read())
    except AfformerError as error:
        raise HTTPException(400, str(error)) from error
