"""`/v1`: pictures in, segmentation results out."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from afformer.runtime.choices import Fit, Regions
from afformer.runtime.drawing.colours import overlay_colours
from afformer.serve import examples
from afformer.serve.bodies import packed, read_body
from afformer.serve.pictures import decode, picture_bytes, picture_size
from afformer.serve.results import Look, Output, choose, write_result
from afformer.serve.served_model import ServedModel
from afformer.serve.state import state_of
from afformer.serve.timing import server_timing

_BYTES_PER_PIXEL = 12
"""Bytes per pixel for picture, class map, drawing and encoding, roughly."""

router = APIRouter(prefix="/v1", tags=["Pictures"])


class SegmentQuery(BaseModel):
    """Options of `/v1/segment`."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    model: str | None = Field(None, description="Model; the first one of the server by default.", max_length=100)
    output: Output | None = Field(
        None, description="What comes back; by `Accept` if left out, an indexed PNG by default."
    )
    fit: Fit | None = Field(None, description="How the picture is brought to the model's input size.")
    opacity: float = Field(0.5, ge=0, le=1, description="Opacity of an overlay's colours.")
    outlines: bool = Field(True, description="Draw lines between an overlay's classes.")
    names: bool = Field(True, description="Write class names on an overlay's larger regions.")
    regions: Regions = Field(
        Regions.NONE, description="Where JSON says that classes are: COCO's polygons or run lengths."
    )
    timeout: float | None = Field(None, gt=0, le=3600, description="Seconds to wait for a model that is busy.")


@router.post("/segment", openapi_extra=examples.REQUEST, responses=examples.RESPONSES, response_class=Response)
async def segment(request: Request, query: Annotated[SegmentQuery, Query()]) -> Response:
    """Segments a picture: a JPEG, PNG or WebP file as the body, or as the file of a form.

    The answer has the picture's own size, turned upright as its EXIF data says. `Server-Timing` says how long each
    stage took.
    """
    state = state_of(request)
    served = state.repository.get(query.model)
    output, media_type = choose(query.output, request.headers.get("accept"))
    look = Look(output, media_type, query.opacity, query.outlines, query.names, query.regions)
    with state.memory.hold() as held:
        data = await picture_bytes(request, await read_body(request, state.limits, held), state.limits)
        size = picture_size(data, state.limits)
        fit = query.fit or served.fit
        served.check_picture(size, fit)
        held.add(_BYTES_PER_PIXEL * size[0] * size[1])
        deadline_s = min(query.timeout or state.limits.deadline_s, state.limits.deadline_s)
        return await _segmented(request, _Task(data, size, fit, look, deadline_s), served)


@router.get("/models")
async def models(request: Request) -> JSONResponse:
    """The loaded models with their classes and colours, and how many pixels a picture may have."""
    state = state_of(request)
    loaded = [_model(served) for served in state.repository.loaded()]
    return JSONResponse({"models": loaded, "max_pixels": state.limits.pixels})


@dataclasses.dataclass(frozen=True)
class _Task:
    """A picture's file, its (height, width), and what is to be done with it."""

    data: bytes
    size: tuple[int, int]
    fit: Fit
    look: Look
    deadline_s: float


async def _segmented(request: Request, task: _Task, served: ServedModel) -> Response:
    look = task.look
    start = time.perf_counter_ns()
    with served.place():
        image = await asyncio.to_thread(decode, task.data, task.size)
        decoded = time.perf_counter_ns()
        job = served.put(image, task.fit)
    answer = await served.answer(job, task.deadline_s, request.receive)
    answered = time.perf_counter_ns()
    accepted = request.headers.get("accept-encoding", "") if look.output in (Output.JSON, Output.RAW) else ""
    content, headers = await asyncio.to_thread(_written, image, answer.value, served, look, accepted)
    spent = {"decode": decoded - start, "encode": time.perf_counter_ns() - answered}
    for stage, ns in spent.items():
        state_of(request).metrics.stage(served.name, stage, ns)
    timing = server_timing(answer.timing, decode_ns=spent["decode"], encode_ns=spent["encode"])
    return Response(content, media_type=look.media_type, headers={**headers, "Server-Timing": timing})


def _written(image: Any, classmap: Any, served: ServedModel, look: Look, accepted: str) -> tuple[bytes, dict[str, str]]:
    content, headers = write_result(image, classmap, served.spec, served.name, look)
    content, packing = packed(content, accepted)
    return content, {**headers, **packing}


def _model(served: ServedModel) -> dict[str, Any]:
    spec = served.spec
    return {
        "name": served.name,
        "variant": spec.variant,
        "dataset": spec.dataset,
        "precision": spec.precision.value,
        "backend": served.description,
        "width": spec.input_hw[1],
        "height": spec.input_hw[0],
        "fit": served.fit.value,
        "classes": [
            {"id": number, "name": name, "colour": list(colour), "palette": list(palette)}
            for number, (name, colour, palette) in enumerate(
                zip(spec.classes, overlay_colours(spec.classes, spec.palette), spec.palette, strict=True)
            )
        ],
    }
