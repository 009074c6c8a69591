"""The Open Inference Protocol v2 over HTTP, with Triton's statistics, configuration and repository extensions."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from afformer.runtime.backends.base import TensorInfo, input_tensor, output_tensor
from afformer.serve import examples
from afformer.serve.bodies import packed, read_body
from afformer.serve.jobs import Answer
from afformer.serve.memory import Held
from afformer.serve.refusal import Refusal
from afformer.serve.repository import VERSION
from afformer.serve.served_model import ServedModel
from afformer.serve.state import state_of
from afformer.serve.tensors import DATATYPES, LENGTH_HEADER, Inference, parse_inference, write_inference
from afformer.serve.timing import server_timing
from afformer.version import __version__

EXTENSIONS = ("binary_tensor_data", "model_configuration", "model_repository", "statistics")
_JSON_COST = 10
"""Bytes that a byte of JSON numbers takes as Python objects, about."""

router = APIRouter(prefix="/v2", tags=["Open Inference Protocol"])


@router.get("/health/live")
async def live() -> Response:
    """200 while the server runs."""
    return Response()


@router.get("/health/ready")
async def ready(request: Request) -> Response:
    """200 if all models are loaded and the server is not about to end, else 400."""
    state = state_of(request)
    return Response(status_code=200 if state.repository.ready and not state.ending() else 400)


@router.get("")
async def server_metadata() -> JSONResponse:
    """Name, version and extensions of the server."""
    return JSONResponse({"name": "afformer", "version": __version__, "extensions": list(EXTENSIONS)})


@router.get("/models/stats")
async def all_statistics(request: Request) -> JSONResponse:
    """Statistics of all loaded models."""
    return _statistics(state_of(request).repository.loaded())


@router.get("/models/{model}/ready")
@router.get("/models/{model}/versions/{version}/ready")
async def model_ready(request: Request, model: str, version: str | None = None) -> Response:
    """200 if the model can be used, else 400."""
    return Response(status_code=200 if state_of(request).repository.is_ready(model, version) else 400)


@router.get("/models/{model}/config")
@router.get("/models/{model}/versions/{version}/config")
async def config(request: Request, model: str, version: str | None = None) -> JSONResponse:
    """The model's configuration in Triton's form."""
    served = state_of(request).repository.get(model, version)
    return JSONResponse(
        {
            "name": served.name,
            "platform": "afformer",
            "backend": "afformer",
            "version_policy": {"latest": {"num_versions": 1}},
            "max_batch_size": served.spec.batch,
            "input": [{**_configured(input_tensor(served.spec)), "format": "FORMAT_NONE"}],
            "output": [{**_configured(output_tensor(served.spec)), "label_filename": ""}],
            "instance_group": [{"name": served.name, "kind": "KIND_AUTO", "count": served.workers}],
            "dynamic_batching": {
                "preferred_batch_size": [served.spec.batch],
                "max_queue_delay_microseconds": round(1e6 * served.max_wait_s),
            },
        }
    )


@router.get("/models/{model}/stats")
@router.get("/models/{model}/versions/{version}/stats")
async def statistics(request: Request, model: str, version: str | None = None) -> JSONResponse:
    """What the model has done."""
    try:
        return _statistics([state_of(request).repository.get(model, version)])
    except Refusal as refusal:
        raise Refusal(400, refusal.message) from refusal  # as Triton, for this endpoint alone


@router.get("/models/{model}")
@router.get("/models/{model}/versions/{version}")
async def metadata(request: Request, model: str, version: str | None = None) -> JSONResponse:
    """The model's tensors."""
    served = state_of(request).repository.get(model, version)
    return JSONResponse(
        {
            "name": served.name,
            "versions": [VERSION],
            "platform": "afformer",
            "inputs": [_described(input_tensor(served.spec))],
            "outputs": [_described(output_tensor(served.spec))],
        }
    )


@router.post("/models/{model}/infer", openapi_extra=examples.INFER)
@router.post("/models/{model}/versions/{version}/infer", openapi_extra=examples.INFER)
async def infer(request: Request, model: str, version: str | None = None) -> Response:
    """Runs the model on tensors, as JSON or binary."""
    state = state_of(request)
    served = state.repository.get(model, version)
    with state.memory.hold() as held:
        body = await read_body(request, state.limits, held)
        with served.place():
            inference = await _parsed(request, body, served, held)
            job = served.put(inference.rows)
        deadline = min(inference.timeout_s or state.limits.deadline_s, state.limits.deadline_s)
        answer = await served.answer(job, deadline, request.receive)
        return await _written(request, answer, served, inference)


async def _parsed(request: Request, body: bytes, served: ServedModel, held: Held) -> Inference:
    length = request.headers.get(LENGTH_HEADER)
    if length is not None:
        return parse_inference(body, length, served.spec, served.name)
    held.add(_JSON_COST * len(body))
    return await asyncio.to_thread(parse_inference, body, None, served.spec, served.name)


async def _written(request: Request, answer: Answer, served: ServedModel, inference: Inference) -> Response:
    head = {"model_name": served.name, "model_version": VERSION}
    if inference.binary:
        content, json_length = write_inference(answer.value, served.spec, inference, head)
    else:
        content, json_length = await asyncio.to_thread(write_inference, answer.value, served.spec, inference, head)
    headers = {"Server-Timing": server_timing(answer.timing)}
    if json_length:
        headers[LENGTH_HEADER] = str(json_length)
    if "accept-encoding" in request.headers:
        content, packing = await asyncio.to_thread(packed, content, request.headers["accept-encoding"])
        headers |= packing
    kind = "application/octet-stream" if json_length else "application/json"
    return Response(content, media_type=kind, headers=headers)


@router.post("/repository/index")
async def index(request: Request) -> JSONResponse:
    """All models and whether they are loaded."""
    wanted = await _json_body(request)
    return JSONResponse(state_of(request).repository.index(ready_only=wanted.get("ready") is True))


@router.post("/repository/models/{model}/load")
async def load(request: Request, model: str) -> Response:
    """Loads a model that was named when the server started, or loads it again."""
    wanted = await _json_body(request)
    if wanted.get("parameters"):
        raise Refusal(400, f"failed to load '{model[:100]}': configurations and files in the request are not supported")
    await state_of(request).repository.load(model)
    return Response()


@router.post("/repository/models/{model}/unload")
async def unload(request: Request, model: str) -> Response:
    """Unloads a model, after the requests that it has accepted are answered."""
    await _json_body(request)
    await state_of(request).repository.unload(model)
    return Response()


def _statistics(models: list[ServedModel]) -> JSONResponse:
    return JSONResponse({"model_stats": [model.statistics.to_json(model.name, VERSION) for model in models]})


def _described(tensor: TensorInfo) -> dict[str, Any]:
    return {"name": tensor.name, "datatype": DATATYPES[tensor.dtype.name], "shape": [-1, *tensor.shape[1:]]}


def _configured(tensor: TensorInfo) -> dict[str, Any]:
    return {"name": tensor.name, "data_type": f"TYPE_{DATATYPES[tensor.dtype.name]}", "dims": list(tensor.shape[1:])}


async def _json_body(request: Request) -> dict[str, Any]:
    """A small JSON object, or nothing."""
    state = state_of(request)
    with state.memory.hold() as held:
        body = await read_body(request, state.limits, held)
    try:
        value = json.loads(body[:65536] or b"{}")
    except (ValueError, RecursionError) as error:
        raise Refusal(400, "failed to parse the request JSON") from error
    if not isinstance(value, dict):
        raise Refusal(400, "the request must be a JSON object")
    return value
