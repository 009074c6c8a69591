"""Files and folders on this machine, or behind any URL that pyarrow or fsspec knows (s3://, gs://, abfs://, hdfs://)."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import re
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.fs

from afformer.errors import AfformerError, ImageError, OutputError
from afformer.files import make_folder, write_file
from afformer.streams.addresses import is_url, without_secrets

_OPTIONS = re.compile(r"\?((?:[a-z_]+=[^&/]*)(?:&[a-z_]+=[^&/]*)*)$")
"""What may follow a URL for pyarrow, such as `?region=eu-central-1`; a key may hold a question mark as well."""
_WHOLE = re.compile(r"s3|gcs|abfs|gs|az|adl|http")
"""File systems on which a file appears when all of it has been sent, and where renaming would copy it."""


def local_path(location: str) -> Path | None:
    """The path of a file or folder on this machine, also of a `file:` URL; None for what is elsewhere."""
    if not is_url(location):
        return Path(location)
    if location.lower().startswith("file:"):
        return Path(urllib.request.url2pathname(urllib.parse.urlsplit(location).path))
    return None


@dataclasses.dataclass(frozen=True)
class Remote:
    """A file or folder behind a URL.

    Attributes:
        filesystem: pyarrow's.
        path: The path there.
        prefix: What the path of everything there starts with; None where paths are whole URLs.
        root: What the URL of everything there starts with instead.
        options: What follows the URL, with its question mark.
    """

    filesystem: Any
    path: str
    prefix: str | None
    root: str
    options: str

    def url(self, path: str) -> str:
        """The URL of another path there."""
        return path if self.prefix is None else self.root + path.removeprefix(self.prefix) + self.options


def locate(url: str) -> Remote:
    """What a URL stands for, on pyarrow's own file system where it has one.

    The path is taken as it is written: object stores' keys are not percent-encoded.

    Raises:
        AfformerError: No package knows such URLs, or the file system cannot be reached.
    """
    bare, options = _split(url)
    scheme, _, rest = bare.partition("://")
    host, _, path = rest.partition("/")
    filesystem, prefix = _root(scheme.lower(), host, options)
    return Remote(filesystem, bare if prefix is None else prefix + path, prefix, f"{scheme}://{host}/", options)


def without_options(url: str) -> str:
    """The URL as results name it: without a user's name, password and pyarrow's options."""
    scheme, mark, rest = _split(url)[0].partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{mark}{host.rpartition('@')[2]}{slash}{path}"


def _split(url: str) -> tuple[str, str]:
    options = None if url.lower().startswith("http") else _OPTIONS.search(url)
    return (url[: options.start()], options[0]) if options else (url, "")


@functools.lru_cache(maxsize=64)
def _root(scheme: str, host: str, options: str) -> tuple[Any, str | None]:
    """A file system, and the prefix of its paths."""
    url = f"{scheme}://{host}/x{options}"
    try:
        filesystem, path = pyarrow.fs.FileSystem.from_uri(url)
        return filesystem, path.removesuffix("x")
    except (OSError, pyarrow.ArrowException) as error:
        if "Unrecognized filesystem" not in str(error):
            raise _unreachable(url, error) from error
    return _fsspec_root(url)


def _fsspec_root(url: str) -> tuple[Any, str | None]:
    import fsspec

    try:
        filesystem, path = fsspec.core.url_to_fs(url)
    except (ImportError, ValueError, TypeError, OSError) as error:  # a TypeError says what its URL lacks
        raise _unreachable(url, error) from error
    wrapped = pyarrow.fs.PyFileSystem(pyarrow.fs.FSSpecHandler(filesystem))
    return wrapped, None if is_url(path) else path.removesuffix("x")


def _unreachable(url: str, error: Exception) -> AfformerError:
    shown = without_options(url).removesuffix("/x")
    reason = _reason(error).replace(url, shown)
    return AfformerError(f"{shown}: cannot be reached ({reason}); check the URL, its package and credentials")


def read_bytes(location: str) -> bytes:
    """The bytes of a file.

    Raises:
        ImageError: It is not there or cannot be read.
    """
    path = local_path(location)
    try:
        if path is not None:
            return path.read_bytes()
        remote = locate(location)
        with remote.filesystem.open_input_stream(remote.path) as file:
            return bytes(file.read())
    except FileNotFoundError as error:
        raise ImageError(f"{without_secrets(location)}: there is no such file; check the path") from error
    except (OSError, ValueError, AfformerError) as error:
        raise ImageError(f"{without_secrets(location)}: cannot be read ({_reason(error)}); check the path") from error


@contextlib.contextmanager
def opened(location: str) -> Iterator[Any]:
    """A file that can be read anywhere in it, for pyarrow.

    Raises:
        ImageError: It is not there, cannot be read, or what is read in the block is damaged.
    """
    path = local_path(location)
    try:
        if path is not None:
            with pyarrow.OSFile(os.fsencode(path)) as file:
                yield file
        else:
            remote = locate(location)
            with remote.filesystem.open_input_file(remote.path) as file:
                yield file
    except (OSError, pyarrow.ArrowException) as error:
        raise ImageError(
            f"{without_secrets(location)}: cannot be read as Parquet ({_reason(error)}); check the file"
        ) from error


def _reason(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error)
    return " ".join(re.split(r"(?:\n|\. Detail:)", text, maxsplit=1)[0].split())[:300]


@dataclasses.dataclass(frozen=True)
class Folder:
    """A folder that results are written to. A file in it is there as a whole or not at all.

    Attributes:
        location: Its path, or its URL.
    """

    location: str

    def __str__(self) -> str:
        return without_secrets(self.location)

    def at(self, name: str) -> str:
        """The location of a file in it; `name` may hold slashes."""
        path = local_path(self.location)
        if path is not None:
            return str(path / name)
        bare, options = _split(self.location)
        return f"{bare.rstrip('/')}/{name}{options}"

    def names(self) -> list[str]:
        """Names of the files in it, without those of its subfolders; none if it is missing.

        Raises:
            OutputError: It is a file, or cannot be listed.
        """
        path = local_path(self.location)
        try:
            if path is not None:
                return sorted(entry.name for entry in path.iterdir()) if path.exists() else []
            remote = locate(self.location)
            selector = pyarrow.fs.FileSelector(remote.path.rstrip("/"), allow_not_found=True)
            return sorted(info.base_name for info in remote.filesystem.get_file_info(selector) if info.is_file)
        except (OSError, pyarrow.ArrowException) as error:
            raise OutputError(f"{self}: cannot be listed ({_reason(error)}); choose another place") from error

    def read(self, name: str) -> bytes:
        """A file's bytes.

        Raises:
            ImageError: It is not there or cannot be read.
        """
        return read_bytes(self.at(name))

    def write(self, name: str, data: bytes) -> None:
        """Writes a file, in place of one of that name; makes folders where needed.

        Raises:
            OutputError: It cannot be written.
        """
        location = self.at(name)
        path = local_path(location)
        if path is not None:
            make_folder(path.parent)
            write_file(path, data)
            return
        try:
            _send(locate(location), data)
        except (OSError, pyarrow.ArrowException, AfformerError) as error:
            raise OutputError(
                f"{without_secrets(location)}: cannot be written ({_reason(error)}); choose another place"
            ) from error


def _send(remote: Remote, data: bytes) -> None:
    filesystem, path = remote.filesystem, remote.path
    if _WHOLE.search(filesystem.type_name):
        with filesystem.open_output_stream(path) as file:
            file.write(data)
        return
    folder, _, name = path.rpartition("/")
    filesystem.create_dir(folder, recursive=True)
    draft = f"{folder}/.afformer-{name}"
    with filesystem.open_output_stream(draft) as file:
        file.write(data)
    filesystem.move(draft, path)
