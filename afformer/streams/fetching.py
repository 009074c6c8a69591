"""Finds out with one request what is behind a URL: a picture, which the same request fetches, or a stream or video."""

from __future__ import annotations

import base64
import http.client
import ssl
import urllib.error
import urllib.parse
import urllib.request
from typing import NamedTuple

from afformer.datasets import PICTURE_EXTENSIONS
from afformer.decoding.signatures import is_picture, is_video
from afformer.errors import ImageError
from afformer.streams.addresses import suffix_of, without_secrets
from afformer.wording import first_line

_TIMEOUT_S = 10.0
_LARGEST = 256 * 2**20
"""Bytes of a picture."""
_LIVE = ("multipart/x-mixed-replace", "video/x-motion-jpeg", "video/x-jpeg", "video/x-mjpeg", "video/mjpeg", "mpegurl")
"""Types of streams: Motion JPEG from cameras, and HLS."""


class Answer(NamedTuple):
    """What a server sent.

    Attributes:
        picture: The bytes of a picture, if it is one.
        live: Whether it is a stream.
        is_file: Whether it is a video file, of a known length.
    """

    picture: bytes | None = None
    live: bool = False
    is_file: bool = False


def ask(url: str) -> Answer | None:
    """Asks an HTTP server what is there. None if it cannot be asked, so that FFmpeg has to try.

    Raises:
        ImageError: There is nothing (404, 410), the server cannot be reached, or it sends no picture where the address
            names one, or one that is too large or ends early.
    """
    title = without_secrets(url)
    names_picture = suffix_of(url) in PICTURE_EXTENSIONS
    try:
        with urllib.request.urlopen(_request(url), timeout=_TIMEOUT_S) as response:
            return _answer(response, title, names_picture=names_picture)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code in (404, 410):
            raise ImageError(f"{title}: is not there (HTTP {error.code}); check the address") from error
        if names_picture:
            raise ImageError(f"{title}: the server refuses it (HTTP {error.code}, {error.reason})") from error
        return None  # a camera may ask for a password in ways that FFmpeg knows
    except urllib.error.URLError as error:
        if isinstance(error.reason, ssl.SSLError) and not names_picture:
            return None  # FFmpeg does not check certificates
        reason = getattr(error.reason, "strerror", None) or error.reason
        raise ImageError(f"{title}: cannot be reached ({reason}); check the address and the network") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        if names_picture:
            raise ImageError(f"{title}: cannot be fetched ({first_line(error)}); check the address") from error
        return None  # FFmpeg tries, and says what is wrong


def _request(url: str) -> urllib.request.Request:
    """A request whose user and password are in a header, as Python does not take them from a URL."""
    parts = urllib.parse.urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    request = urllib.request.Request(
        parts._replace(netloc=host, fragment="").geturl(), headers={"User-Agent": "afformer"}
    )
    if at:
        secret = base64.b64encode(urllib.parse.unquote(user).encode()).decode()
        request.add_unredirected_header("Authorization", f"Basic {secret}")
    return request


def _answer(response: http.client.HTTPResponse, title: str, *, names_picture: bool) -> Answer:
    kind = response.headers.get_content_type()
    if any(name in kind for name in _LIVE):
        return Answer(live=True)
    head = response.read(16)
    length = response.headers.get("Content-Length")
    if is_picture(head) and not kind.startswith("video/"):
        return Answer(picture=_whole(response, head, length, title))
    if names_picture and not is_video(head):
        raise ImageError(f"{title}: the server sends {kind}, not a picture; check the address")
    return Answer(is_file=length is not None)


def _whole(response: http.client.HTTPResponse, head: bytes, length: str | None, title: str) -> bytes:
    try:
        data = head + response.read(_LARGEST)
    except (OSError, http.client.HTTPException) as error:
        raise ImageError(f"{title}: the picture ends before it is complete; try again") from error
    if len(data) > _LARGEST:
        raise ImageError(f"{title}: is larger than {_LARGEST >> 20} MiB, which is the limit for a picture by URL")
    if length and length.isdecimal() and len(data) < int(length):
        raise ImageError(f"{title}: the picture ends after {len(data)} of {length} bytes; try again")
    return data
