"""Who may use the server: those who show its API key, and pages that come from it."""

from __future__ import annotations

import hmac

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

_OPEN = ("/", "/docs", "/openapi.json", "/v2/health/live", "/v2/health/ready")
_OPEN_FOLDERS = ("/page/", "/static-offline-docs/")


class Guard:
    """Middleware that refuses requests without the API key, and those that a page of another site makes.

    Args:
        app: What it guards.
        api_key: The key; None asks for none.
    """

    def __init__(self, app: ASGIApp, api_key: str | None) -> None:
        self._app = app
        self._key = api_key.encode() if api_key else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one request."""
        refusal = self._refusal(scope) if scope["type"] == "http" else None
        await (refusal or self._app)(scope, receive, send)

    def _refusal(self, scope: Scope) -> JSONResponse | None:
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        # Without a key, any page in a browser on this machine could send requests here.
        if scope["method"] != "GET" and origin and origin.partition("://")[2] != headers.get("host"):
            return JSONResponse({"error": "requests from pages of other sites are refused"}, 403)
        if self._key is None or _is_open(scope["path"]) or self._shown(headers):
            return None
        message = "this server needs an API key: send it as `Authorization: Bearer KEY` or as `X-API-Key: KEY`"
        return JSONResponse({"error": message}, 401, {"WWW-Authenticate": "Bearer"})

    def _shown(self, headers: Headers) -> bool:
        scheme, _, token = headers.get("authorization", "").partition(" ")
        shown = headers.get("x-api-key") or (token if scheme.lower() == "bearer" else "")
        return hmac.compare_digest(shown.strip().encode("latin-1"), self._key or b"")


def _is_open(path: str) -> bool:
    return path in _OPEN or path.startswith(_OPEN_FOLDERS)
