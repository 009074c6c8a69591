"""State that all endpoints of a server share."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import cast

from starlette.requests import Request

from afformer.serve.memory import MemoryBudget
from afformer.serve.metrics import Metrics
from afformer.serve.options import Limits, ServeOptions
from afformer.serve.repository import Repository


@dataclasses.dataclass
class ServerState:
    """One server.

    Attributes:
        options: Its options.
        repository: Its models.
        metrics: Its counters.
        memory: What bodies and pictures are counted on.
        ending: Whether it answers its last requests.
    """

    options: ServeOptions
    repository: Repository
    metrics: Metrics
    memory: MemoryBudget
    ending: Callable[[], bool] = lambda: False

    @property
    def limits(self) -> Limits:
        """How much it takes on."""
        return self.options.limits


def state_of(request: Request) -> ServerState:
    """The server that a request came to."""
    return cast(ServerState, request.app.state.server)
