"""The server as an ASGI application."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from fastapi import FastAPI, Request, Response, Security
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from fastapi.security import APIKeyHeader
from fastapi.staticfiles import StaticFiles
from fastapi_offline import FastAPIOffline
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from afformer.opencv import single_threaded_opencv
from afformer.serve import segment, v2
from afformer.serve.guard import Guard
from afformer.serve.memory import MemoryBudget
from afformer.serve.metrics import Metrics
from afformer.serve.observe import Observer
from afformer.serve.options import ModelFile, ServeOptions
from afformer.serve.refusal import ClientLeft, Refusal
from afformer.serve.repository import Repository
from afformer.serve.state import ServerState, state_of
from afformer.version import __version__

_PAGE = Path(__file__).parent / "page"
_POLICY = "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; frame-ancestors 'none'"
_log = logging.getLogger(__name__)


def make_state(models: Mapping[str, ModelFile], options: ServeOptions) -> ServerState:
    """What a server works with; no model is loaded yet."""
    metrics, memory = Metrics(), MemoryBudget(options.limits.memory)
    metrics.watch_memory(lambda: memory.held)
    return ServerState(options, Repository(models, options, metrics), metrics, memory)


def make_app(state: ServerState) -> ASGIApp:
    """The application. Models that are loaded are closed when it ends."""

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        with single_threaded_opencv():
            yield
            state.repository.close()

    app: FastAPI = FastAPIOffline(
        redoc_url=None,
        title="afformer",
        version=__version__,
        description="Semantic segmentation over HTTP.",
        lifespan=lifespan,
        # `Guard` asks for the key, before a route is looked for; this tells OpenAPI of it.
        dependencies=[Security(APIKeyHeader(name="X-API-Key", auto_error=False))] if state.options.api_key else [],
        exception_handlers={
            Refusal: _refused,
            ClientLeft: _left,
            RequestValidationError: _invalid,
            HTTPException: _http_error,
            Exception: _broken,
        },
    )
    app.state.server = state
    for router in (v2.router, segment.router):
        app.include_router(router)
    _add_pages(app)
    return Observer(Guard(app, state.options.api_key), state)


def _add_pages(app: FastAPI) -> None:
    @app.get("/", include_in_schema=False)
    async def page() -> Response:
        return FileResponse(_PAGE / "index.html", headers={"Content-Security-Policy": _POLICY})

    @app.get("/metrics", tags=["Monitoring"], response_class=Response)
    async def metrics(request: Request) -> Response:
        """Counters for Prometheus."""
        return Response(state_of(request).metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    app.mount("/page", StaticFiles(directory=_PAGE), name="page")


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return JSONResponse({"error": error.message}, error.status, error.headers)


async def _left(_: Request, __: Exception) -> Response:
    return Response(status_code=499)  # nobody reads it


async def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    name = ".".join(str(part) for part in first["loc"][1:])[:100]
    return JSONResponse({"error": f"{first['loc'][0]} parameter '{name}': {first['msg']}"}, 400)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": str(error.detail)}, error.status_code, error.headers)


async def _broken(_: Request, __: Exception) -> Response:
    return JSONResponse({"error": "the server failed; its log says why"}, 500)
