"""`Repository`: the models of a server by name, which can be loaded and unloaded while it runs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from afformer.errors import AfformerError
from afformer.serve.metrics import Metrics
from afformer.serve.options import ModelFile, ServeOptions
from afformer.serve.refusal import Refusal
from afformer.serve.served_model import ServedModel

VERSION = "1"
"""Every model has one version."""

_log = logging.getLogger(__name__)


class Repository:
    """Models by name. The names and their files are fixed when the server starts.

    Args:
        files: Model files by name.
        options: How they are served.
        metrics: Where they are counted.
    """

    def __init__(self, files: Mapping[str, ModelFile], options: ServeOptions, metrics: Metrics) -> None:
        self._files, self._options, self._metrics = dict(files), options, metrics
        self._ready: dict[str, ServedModel] = {}
        self._reasons = dict.fromkeys(files, "not loaded")
        self._changing = {name: asyncio.Lock() for name in files}

    def open_all(self) -> None:
        """Loads every model; for the start, before requests come.

        Raises:
            AfformerError: One of them cannot be opened.
        """
        for name in self._files:
            self._set(name, self._open(name))

    @property
    def names(self) -> tuple[str, ...]:
        """All models, the default one first."""
        return tuple(self._files)

    @property
    def ready(self) -> bool:
        """Whether all models are loaded."""
        return len(self._ready) == len(self._files)

    def is_ready(self, name: str, version: str | None = None) -> bool:
        """Whether a model can be used."""
        return name in self._ready and version in (None, VERSION)

    def get(self, name: str | None = None, version: str | None = None) -> ServedModel:
        """A loaded model, the first one if no name is given.

        Raises:
            Refusal: 404, an unknown name or version, or a model that is not loaded.
        """
        name = name if name is not None else self.names[0]
        if name not in self._files:
            raise Refusal(404, f"Request for unknown model: '{name[:100]}' is not found")
        if version not in (None, VERSION):
            raise Refusal(404, f"Request for unknown model: '{name}' version {version[:20]} is not found")
        if name not in self._ready:
            raise Refusal(404, f"Request for unknown model: '{name}' has no available versions")
        return self._ready[name]

    def loaded(self) -> list[ServedModel]:
        """All loaded models."""
        return list(self._ready.values())

    def index(self, ready_only: bool) -> list[dict[str, Any]]:
        """As in a response of `v2/repository/index`."""
        loaded = [{"name": name, "version": VERSION, "state": "READY", "reason": ""} for name in self._ready]
        absent = [
            {"name": name, "version": VERSION, "state": "UNAVAILABLE", "reason": self._reasons[name]}
            for name in self._files
            if name not in self._ready
        ]
        return loaded if ready_only else [*loaded, *absent]

    async def load(self, name: str) -> None:
        """Loads a model, again if it is loaded: requests go to the old one until the new one is ready.

        Raises:
            Refusal: 400, there is no such model or it cannot be opened.
        """
        async with self._lock(name, "load"):
            try:
                model = await asyncio.to_thread(self._open, name)
            except AfformerError as error:
                _log.error("loading failed", extra={"model": name, "error": str(error)})
                if name not in self._ready:
                    self._reasons[name] = "loading failed"
                raise Refusal(400, f"failed to load '{name}': the server's log says why") from error
            old = self._ready.get(name)
            self._set(name, model)
            if old:
                await asyncio.to_thread(old.close)

    async def unload(self, name: str) -> None:
        """Unloads a model, after what it has accepted is answered. Unloading twice does nothing.

        Raises:
            Refusal: 400, there is no such model.
        """
        async with self._lock(name, "unload"):
            model = self._ready.pop(name, None)
            if model:
                self._reasons[name] = "unloaded"
                self._metrics.forget_queue(name)
                await asyncio.to_thread(model.close)
                _log.info("unloaded", extra={"model": name})

    def close(self) -> None:
        """Closes all models, after what they have accepted is answered."""
        for model in self._ready.values():
            model.close()
        self._ready.clear()

    def _open(self, name: str) -> ServedModel:
        file = self._files[name]
        return ServedModel.open(name, file.path, file.adapt(self._options), self._metrics)

    def _set(self, name: str, model: ServedModel) -> None:
        self._ready[name] = model
        self._metrics.watch_queue(name, lambda: len(model.queue))
        _log.info("loaded", extra={"model": name, "backend": model.description})

    def _lock(self, name: str, verb: str) -> asyncio.Lock:
        if name not in self._changing:
            raise Refusal(400, f"failed to {verb} '{name[:100]}': no such model was named when the server started")
        return self._changing[name]
