"""URLs: what may be shown of them, and what outputs are named after."""

from __future__ import annotations

import re
import urllib.parse
from pathlib import PurePosixPath

_URL = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*):/+(?P<rest>.*)", re.IGNORECASE | re.DOTALL)
_USER = re.compile(r"^(?://)?(?![A-Za-z]:[/\\])[^/@\s]+:[^@\s]*@|^(?://)?[^/@\s:]+@(?=[\w.-]+[:/])")
"""`user:password@` in front of a host, without a scheme."""
_INNER = re.compile(r"(?<=://)[^/@\s|]+:[^@\s|]*@|(?<=/)[^/@\s:]+:[^/@\s]+@")
"""The same of an address within another one, or in a path."""
_NAMED = re.compile(r"(?i)(pass|pwd|token|secret|key|auth|sig|credential|session|user|login)[\w.-]*=.*", re.DOTALL)
"""A secret by its name, in a path: `/user=admin_password=1234_channel=1`."""
HIDDEN = "..."


def is_url(text: str) -> bool:
    """Whether it is a URL, rather than a file's name: a drive letter is not a scheme."""
    return re.match(r"[a-z][a-z0-9+.-]+://", text, re.IGNORECASE) is not None


def without_secrets(location: str) -> str:
    """The address as messages show it: without user, password, the values of its query, or its fragment.

    A password may hold any character, even those that end a host's name; where it is not clear where the password ends,
    rather too much is left out than too little. What is not a URL stays as it is, but for `user:password@`.
    """
    url = _URL.fullmatch(location.strip())
    if not url or len(url["scheme"]) < 2:
        return _INNER.sub("", _USER.sub("", location))
    rest = _without_user(url["rest"])
    path, mark, _ = rest.partition("?")
    path, hash_mark, _ = path.partition("#")
    host, slash, path = path.partition("/")
    path = _INNER.sub(HIDDEN, f"/{_NAMED.sub(HIDDEN, path)}")[1:]
    return f"{url['scheme']}://{host}{slash}{path}{mark or hash_mark}{HIDDEN if mark or hash_mark else ''}"


def _without_user(rest: str) -> str:
    """What follows the user's name and password; see `without_secrets`."""
    host = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if "@" in host:
        unclear = rest.rpartition("@")[0].count(":") and not _ends_like_host(rest, host)
        return rest.rpartition("@")[2] if unclear else host.rpartition("@")[2] + rest[len(host) :]
    is_unclear = "@" in rest and ":" in host and not host.startswith("[")
    return rest.rpartition("@")[2] if is_unclear else rest


def _ends_like_host(rest: str, host: str) -> bool:
    """Whether what follows the last @ of the host's part looks like a host, so that the password ends there."""
    name = host.rpartition("@")[2]
    return re.fullmatch(r"(\[[0-9a-fA-F:.%]+\]|[\w.-]+)(:\d+)?", name) is not None and "@" not in rest[len(host) :]


def name_of(url: str, default: str) -> str:
    """What outputs of a URL are named after: its file's name without extension, if it has one and it is no secret."""
    path = urllib.parse.unquote(without_secrets(url).partition("://")[2].partition("/")[2].partition("?")[0])
    stem = PurePosixPath(path.rstrip(".")).stem
    safe = re.sub(r"[^\w.-]+", "_", stem).strip("._")
    return safe or default


def suffix_of(url: str) -> str:
    """The extension of a URL's file, in lower case."""
    path = url.partition("://")[2].partition("?")[0].partition("#")[0]
    return PurePosixPath(path.partition("/")[2]).suffix.lower()
