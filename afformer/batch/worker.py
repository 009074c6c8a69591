"""`Worker`: one of the pool, with a model that stays open, and what it does with a part."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from afformer.batch.choices import Masks
from afformer.batch.items import Item
from afformer.batch.parts import Part
from afformer.batch.pictures import Content, read_pictures
from afformer.batch.places import Folder
from afformer.batch.results import Row, mask_file, part_names, read_keys, read_part, row_of, row_of_error, write_part
from afformer.errors import AfformerError
from afformer.images import ClassMap, RGBImage, encode_mask
from afformer.runtime.batches import groups
from afformer.runtime.opening import OpenOptions
from afformer.runtime.segmenter import Segmenter
from afformer.temporary import working_folder

SPEC_FILE = "afformer-spec.json"
"""What a model's spec file is called among its files."""


@dataclasses.dataclass(frozen=True)
class Job:
    """What every worker needs to know.

    Attributes:
        model: Names and contents of the model's files; the first is the model.
        open_options: How it is opened.
        folder: Where results go.
        masks: What becomes of masks.
        bytes_column: Column of Parquet files with pictures' bytes.
    """

    model: tuple[tuple[str, bytes], ...]
    open_options: OpenOptions
    folder: Folder
    masks: Masks
    bytes_column: str


@dataclasses.dataclass(frozen=True)
class PartDone:
    """What a worker tells of a part.

    Attributes:
        name: The part.
        pictures: How many pictures it has now been asked for.
        errors: Why some of them could not be used.
        node: Where it was done.
        stop: Why this and every other part cannot be done, or None.
    """

    name: str
    pictures: int
    errors: tuple[str, ...]
    node: str
    stop: str | None = None


class Worker:
    """One worker.

    Args:
        job: The job.
        node: The node that it is on.
    """

    def __init__(self, job: Job, node: str) -> None:
        self._job, self._node = job, node
        self._open = contextlib.ExitStack()
        self._segmenter: Segmenter | None = None

    def do(self, part: Part) -> PartDone:
        """Segments the pictures of a part and writes their results, unless they are there already."""
        try:
            errors = self._errors_of(part)
        except AfformerError as error:  # of the model or the folder: those of pictures are in the results
            return PartDone(part.name, 0, (), self._node, f"{error} (on node {self._node})")
        return PartDone(part.name, len(part.items), tuple(errors), self._node)

    def _errors_of(self, part: Part) -> list[str]:
        folder = self._job.folder
        # whoever did it may have died before it was told
        if not part.again and part.name in part_names(folder):
            return [error for _, error in read_keys(folder, part.name) if error is not None]
        segmenter = self._opened()
        rows = list(self._rows(part.items, segmenter))
        tried = {_key(row) for row in rows}
        kept = [row for row in read_part(folder, part.name) if _key(row) not in tried] if part.again else []
        write_part(folder, part.name, kept + rows, segmenter.spec, self._node)
        return [row["error"] for row in rows if row.get("error") is not None]

    def _opened(self) -> Segmenter:
        if self._segmenter is None:
            # the files may go once the model is open: a worker that is killed leaves none
            with files_of(self._job.model, self._job.open_options) as (model, open_options):
                self._segmenter = self._open.enter_context(open_options.open_segmenter(model))
        return self._segmenter

    def _rows(self, items: Sequence[Item], segmenter: Segmenter) -> Iterator[Row]:
        for group in groups(read_pictures(items, self._job.bytes_column), segmenter.batch):
            for item, result in zip([item for item, _ in group], _segmented(segmenter, group), strict=True):
                if isinstance(result, AfformerError):
                    yield row_of_error(item, result)
                else:
                    yield self._row(item, segmenter, result)

    def _row(self, item: Item, segmenter: Segmenter, classmap: ClassMap) -> Row:
        masks, spec = self._job.masks, segmenter.spec
        mask = encode_mask(classmap, spec.palette) if masks is not Masks.NONE else None
        name = mask_file(item) if masks.in_files else None
        if name and mask:
            self._job.folder.write(name, mask)
        return row_of(item, spec, classmap, mask if masks.in_parquet else None, name)


def _segmented(segmenter: Segmenter, group: list[tuple[Item, Content]]) -> list[ClassMap | AfformerError]:
    """The class map of each picture, or why it has none."""
    images: list[RGBImage] = [content for _, content in group if not isinstance(content, AfformerError)]
    results = iter(_classmaps(segmenter, images))
    return [content if isinstance(content, AfformerError) else next(results) for _, content in group]


def _classmaps(segmenter: Segmenter, images: list[RGBImage]) -> list[ClassMap | AfformerError]:
    if not images:
        return []
    try:
        return list(segmenter.segment_batch(images))
    except AfformerError as error:
        if len(images) == 1:
            return [error]
    return [_classmaps(segmenter, [image])[0] for image in images]  # one of them is to blame


@contextlib.contextmanager
def files_of(files: tuple[tuple[str, bytes], ...], open_options: OpenOptions) -> Iterator[tuple[Path, OpenOptions]]:
    """A model's files in a temporary folder: the model, and the options with the spec file that is there."""
    model, _ = files[0]
    with working_folder(Path(model)) as folder:
        for name, data in files:
            (folder / name).write_bytes(data)
        spec = folder / SPEC_FILE if open_options.spec else None
        yield folder / model, dataclasses.replace(open_options, spec=spec)


def _key(row: Row) -> tuple[Any, ...]:
    return row["path"], row.get("table"), row.get("row")
