"""What is kept of a cluster's work: Parquet files, one a part, in one folder."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow
import pyarrow.parquet

from afformer.batch.items import Item, storable
from afformer.batch.places import Folder, local_path, opened
from afformer.errors import OutputError
from afformer.files import json_text
from afformer.foreign import UNREADABLE
from afformer.images import ClassMap
from afformer.runtime.drawing.shares import class_shares
from afformer.spec import METADATA_KEY, ModelSpec

JOB_FILE = "_job.json"
"""What the results were made with. Readers of Parquet folders leave out names that begin with `_`."""
_READERS = 16
MASKS = "masks"
"""The folder of mask files."""

_SHARE = {"class_id": pyarrow.int32(), "class": pyarrow.string(), "pixels": pyarrow.int64(), "share": pyarrow.float64()}
SCHEMA = pyarrow.schema(
    {
        "path": pyarrow.string(),
        "table": pyarrow.string(),
        "row": pyarrow.int64(),
        "width": pyarrow.int32(),
        "height": pyarrow.int32(),
        "shares": pyarrow.list_(pyarrow.struct(_SHARE)),
        "mask": pyarrow.binary(),
        "mask_file": pyarrow.string(),
        "error": pyarrow.string(),
    }
)
"""Columns of the results. `shares` has the classes that occur, the largest first; of a picture that could not be used
all is null but `path` (`table` and `row` for one out of a Parquet file) and `error`."""

Row = dict[str, Any]


def row_of(item: Item, spec: ModelSpec, classmap: ClassMap, mask: bytes | None, mask_file: str | None) -> Row:
    """What is kept of a segmented picture; `classmap` is `(H, W)` class ids."""
    shares = [
        {"class_id": s.class_id, "class": spec.classes[s.class_id], "pixels": s.pixels, "share": s.share}
        for s in class_shares(classmap)
    ]
    height, width = classmap.shape
    return {**_named(item), "width": width, "height": height, "shares": shares, "mask": mask, "mask_file": mask_file}


def row_of_error(item: Item, error: Exception) -> Row:
    """What is kept of a picture that could not be used."""
    return {**_named(item), "error": storable(" ".join(str(error).split()))}


def _named(item: Item) -> Row:
    where = {"table": storable(item.table), "row": item.row} if item.table else {}
    return {"path": storable(item.path), **where}


def write_part(folder: Folder, name: str, rows: Sequence[Row], spec: ModelSpec, node: str) -> None:
    """Writes the rows of a part; the file's metadata says which model and node made it.

    Raises:
        OutputError: It cannot be written.
    """
    schema = SCHEMA.with_metadata({METADATA_KEY: spec.to_json(), "afformer_node": node})
    sink = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(list(rows), schema), sink, compression="zstd")
    folder.write(name, sink.getvalue().to_pybytes())


def read_part(folder: Folder, name: str) -> list[Row]:
    """All rows of a part."""
    with opened(folder.at(name)) as file:
        rows: list[Row] = pyarrow.parquet.read_table(file).to_pylist()
        return rows


@dataclasses.dataclass(frozen=True)
class Done:
    """What is known of a row that is there.

    Attributes:
        part: The file that it is in.
        error: Why the picture could not be used, or None.
    """

    part: str
    error: str | None


def part_names(folder: Folder) -> list[str]:
    """The files with results in a folder."""
    return [name for name in folder.names() if re.fullmatch(r"part-[0-9a-f]+\.parquet", name)]


def read_done(folder: Folder) -> dict[str, Done]:
    """The pictures whose results are there, by `Item.key`.

    Raises:
        ImageError: A part cannot be read.
    """
    names = part_names(folder)
    with ThreadPoolExecutor(_READERS) as pool:  # behind a URL, each of them mostly waits
        keys = pool.map(lambda name: list(read_keys(folder, name)), names)
        return {key: Done(name, error) for name, rows in zip(names, keys, strict=True) for key, error in rows}


def read_keys(folder: Folder, name: str) -> Iterator[tuple[str, str | None]]:
    """`Item.key` and the error of each row of a part."""
    with opened(folder.at(name)) as file:
        table = pyarrow.parquet.read_table(file, columns=["path", "table", "row", "error"])
    for row in table.to_pylist():
        yield f"{row['table']}#{row['row']}" if row["table"] else row["path"], row["error"]


def check_same(folder: Folder, job: dict[str, Any]) -> None:
    """Refuses a folder whose results were made with something else; without results it may say anything.

    Raises:
        OutputError: The results are another job's, or do not say whose they are.
    """
    if not part_names(folder):
        return
    if JOB_FILE not in folder.names():
        raise OutputError(f"{folder}: holds results, but no {JOB_FILE} that says what made them; name a new folder")
    try:
        found = json.loads(folder.read(JOB_FILE))
        differing = [key for key in job if found[key] != job[key]]
    except UNREADABLE as error:
        raise OutputError(f"{folder}: its {JOB_FILE} cannot be read; name a new folder") from error
    if differing:
        raise OutputError(
            f"{folder}: holds results that were made with another {' and '.join(differing)}; name a new folder, or "
            "run with what they were made with"
        )


def write_job(folder: Folder, job: dict[str, Any]) -> None:
    """Says in the folder what its results are made with.

    Raises:
        OutputError: It cannot be written.
    """
    folder.write(JOB_FILE, (json_text(job, indent=2) + "\n").encode())


def mask_file(item: Item) -> str:
    """Where the mask of a picture goes, below the folder: `masks/` and the picture's whole path.

    Names that mean something else than a file, or are too long for one, are replaced by a digest.
    """
    name = storable(item.path if not item.table else f"{item.table}/{item.row}")
    _, _, path = name.partition("://") if local_path(name) is None else ("", "", name)
    parts = [part for part in path.split("/") if part]
    return "/".join([MASKS, *map(_safe, parts[:-1]), _safe(parts[-1] + ".png")])


def _safe(part: str) -> str:
    if part in (".", "..") or len(part.encode()) > 255 or "\0" in part:
        return hashlib.sha256(part.encode()).hexdigest() + (".png" if part.endswith(".png") else "")
    return part
