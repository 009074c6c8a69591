"""The pictures of a part, read and decoded ahead of the model."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from afformer.batch.items import Item, storable
from afformer.batch.places import local_path, read_bytes
from afformer.batch.tables import bytes_of
from afformer.errors import ImageError
from afformer.images import RGBImage, decode_image, read_image

_READERS = 2
"""Threads that wait for storage while the model runs."""
_AHEAD = 4
"""Pictures that are read ahead."""

Content = RGBImage | ImageError


def read_pictures(items: Sequence[Item], bytes_column: str) -> Iterator[tuple[Item, Content]]:
    """Each item with its pixels, `(H, W, 3)` uint8 RGB, or why it has none."""
    waiting: deque[tuple[Item, Future[Content]]] = deque()
    with ThreadPoolExecutor(_READERS) as pool:
        for item, data in _with_bytes(items, bytes_column):
            waiting.append((item, pool.submit(_content, item, data)))
            if len(waiting) > _AHEAD:
                first, content = waiting.popleft()
                yield first, content.result()
        for first, content in waiting:
            yield first, content.result()


def _with_bytes(items: Sequence[Item], column: str) -> Iterator[tuple[Item, bytes | ImageError | None]]:
    """Each item with its bytes, if they are in a table."""
    for table, group in itertools.groupby(items, lambda item: item.table):
        rows = list(group)
        if not table:
            yield from ((item, None) for item in rows)
            continue
        found = bytes_of(table, column, [item.row for item in rows])
        for item in rows:
            try:
                data = next(found, None) or ImageError(f"{storable(item.path)}: its row holds no bytes")
            except ImageError as error:
                data = error
            yield item, data


def _content(item: Item, data: bytes | ImageError | None) -> Content:
    if isinstance(data, ImageError):
        return data
    try:
        if data is not None:
            return decode_image(data, storable(item.path))
        path = local_path(item.path)
        return read_image(path) if path is not None else decode_image(read_bytes(item.path), storable(item.path))
    except ImageError as error:
        return error
