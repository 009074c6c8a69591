"""Request bodies: read within limits of size, time and memory, and decompressed within them."""

from __future__ import annotations

import asyncio
import gzip
import zlib

from starlette.requests import ClientDisconnect, Request

from afformer.serve.memory import Held
from afformer.serve.options import Limits
from afformer.serve.refusal import ClientLeft, Refusal

_WINDOW = {"gzip": 31, "deflate": 15}
"""`wbits` of zlib for what HTTP calls gzip and deflate."""
_WORTH_PACKING = 1024


async def read_body(request: Request, limits: Limits, held: Held) -> bytes:
    """The whole body, decompressed.

    Args:
        request: Whose body has not been read.
        limits: Size, and time to send it.
        held: What the body's bytes are counted on.

    Raises:
        Refusal: 413 too large, 408 too slow, 415 unknown compression, 400 damaged compression, 503 no memory left.
        ClientLeft: The client closed its connection.
    """
    length = request.headers.get("content-length", "0")
    if int(length) > limits.body:  # the HTTP parser lets only digits through
        raise _too_large(limits)
    held.at_least(int(length))
    try:
        data = await asyncio.wait_for(_receive(request, limits, held), limits.body_s)
    except asyncio.TimeoutError:
        message = f"the body did not arrive within {limits.body_s:g} s; send it faster or make it smaller"
        raise Refusal(408, message, {"Connection": "close"}) from None
    except ClientDisconnect:
        raise ClientLeft from None
    return await _unpacked(data, request.headers.get("content-encoding", "identity").strip().lower(), limits, held)


def packed(content: bytes, accepted: str) -> tuple[bytes, dict[str, str]]:
    """The content as a client takes it, and the headers that say so: compressed if asked for and worth it.

    Args:
        content: A response's body.
        accepted: The request's `Accept-Encoding`.
    """
    offers = [part.partition(";") for part in accepted.lower().split(",")]
    names = {name.strip() for name, _, weight in offers if weight.replace(" ", "") not in ("q=0", "q=0.0")}
    if len(content) < _WORTH_PACKING:
        return content, {}
    if "gzip" in names:
        return gzip.compress(content, 1, mtime=0), {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
    if "deflate" in names:
        return zlib.compress(content, 1), {"Content-Encoding": "deflate", "Vary": "Accept-Encoding"}
    return content, {}


async def _receive(request: Request, limits: Limits, held: Held) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > limits.body:
            raise _too_large(limits)
        held.at_least(size)
        parts.append(part)
    return b"".join(parts)


async def _unpacked(data: bytes, encoding: str, limits: Limits, held: Held) -> bytes:
    if encoding in ("identity", ""):
        return data
    if encoding not in _WINDOW:
        raise Refusal(415, "Content-Encoding must be gzip, deflate or identity", {"Accept-Encoding": "gzip, deflate"})
    held.add(min(limits.body, 1100 * len(data)))  # zlib's best ratio is 1032
    return await asyncio.to_thread(_inflate, data, encoding, limits)


def _inflate(data: bytes, encoding: str, limits: Limits) -> bytes:
    unpacker = zlib.decompressobj(_WINDOW[encoding])
    try:
        unpacked = unpacker.decompress(data, limits.body + 1)
    except zlib.error as error:
        raise Refusal(400, f"the body is not {encoding}, as its Content-Encoding says, or is damaged") from error
    if len(unpacked) > limits.body:
        raise _too_large(limits)
    if not unpacker.eof or unpacker.unused_data:
        raise Refusal(400, f"the body's {encoding} data is truncated, or something follows it")
    return unpacked


def _too_large(limits: Limits) -> Refusal:
    return Refusal(413, f"the body is larger than the {limits.body} bytes that are allowed; send a smaller one")
