"""Parquet files that name pictures or hold their bytes."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow
import pyarrow.parquet

from afformer.batch.places import opened, without_options
from afformer.errors import ImageError

_ROWS = 32
"""Rows whose bytes are read at a time."""


@dataclasses.dataclass(frozen=True)
class Columns:
    """Columns of a Parquet file; a dot leads into a struct (`image.bytes`).

    Attributes:
        path: With the pictures' paths or URLs.
        bytes: With the bytes of picture files.
    """

    path: str
    bytes: str


def paths_of(file: str, columns: Columns) -> tuple[list[str | None], bool]:
    """The path in each row, and whether the file holds the pictures' bytes.

    Raises:
        ImageError: The file cannot be read, or has neither column, or not of that type.
    """
    with opened(file) as source:
        parquet = pyarrow.parquet.ParquetFile(source)
        names = _leaves(parquet)
        has_bytes = columns.bytes in names
        if not has_bytes and columns.path not in names:
            raise ImageError(
                f"{without_options(file)}: has no column {columns.path!r} or {columns.bytes!r}, but "
                f"{', '.join(names)}; name them with `path_column` and `bytes_column`"
            )
        if has_bytes:
            _require(parquet, file, columns.bytes, "binary")
        if columns.path not in names:
            return [None] * parquet.metadata.num_rows, has_bytes
        _require(parquet, file, columns.path, "string")
        return _column(parquet.read(columns=[columns.path]), columns.path).to_pylist(), has_bytes


def bytes_of(file: str, column: str, rows: Sequence[int]) -> Iterator[bytes | None]:
    """What a column holds in some rows, in their order, which is that of the file.

    Raises:
        ImageError: The file cannot be read.
    """
    wanted = iter(rows)
    row = next(wanted, None)
    with opened(file) as source:
        for start, values in _pieces(pyarrow.parquet.ParquetFile(source), column, rows):
            while row is not None and row < start + len(values):
                yield values[row - start].as_py()
                row = next(wanted, None)
            if row is None:
                return


def _pieces(parquet: Any, column: str, rows: Sequence[int]) -> Iterator[tuple[int, Any]]:
    """The values of a column piece by piece, each with its first row; row groups without wanted rows are left out."""
    sizes = [parquet.metadata.row_group(group).num_rows for group in range(parquet.num_row_groups)]
    for group, first in enumerate(itertools.accumulate(sizes[:-1], initial=0)):
        if not any(first <= row < first + sizes[group] for row in rows):
            continue
        start = first
        for batch in parquet.iter_batches(_ROWS, row_groups=[group], columns=[column]):
            yield start, _column(pyarrow.Table.from_batches([batch]), column)
            start += len(batch)


def _leaves(parquet: Any) -> list[str]:
    return [parquet.schema.column(i).path for i in range(len(parquet.schema))]


def _column(table: Any, name: str) -> Any:
    while name not in table.column_names:
        table = table.flatten()
    return table.column(name)


def _require(parquet: Any, file: str, column: str, kind: str) -> None:
    table = parquet.schema_arrow.empty_table()
    found = _column(table, column).type
    found = found.value_type if pyarrow.types.is_dictionary(found) else found
    right = getattr(pyarrow.types, f"is_{kind}")(found) or getattr(pyarrow.types, f"is_large_{kind}")(found)
    if not right:
        raise ImageError(f"{without_options(file)}: the column {column!r} is of type {found}, expected {kind}")
