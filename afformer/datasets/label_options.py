"""What a user says about the ids in label files."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from afformer.datasets.convention import IGNORE, NO_ID, Dataset, LabelFiles
from afformer.errors import AfformerError

_LARGEST = (1 << 16) - 1
_LINE = re.compile(r"(?P<id>\d+)(?:\s*[:=,]\s*|\s+)(?P<meaning>\S.*)")
_IGNORED = "ignore"


@dataclasses.dataclass(frozen=True)
class LabelOptions:
    """How the ids of label files become classes; without any option, by the data set's convention.

    Attributes:
        offset: Added to an id to give its class. -1 is for labels that count from 1; their 0 is ignored, which
            trainers call `reduce_zero_label`. 0 is for labels whose ids are the classes.
        map: A text file with an id and its class on each line: `7 road`, `7 0` or `0 ignore`.
        ignore: More ids that mean no class.
    """

    offset: int | None = None
    map: Path | None = None
    ignore: tuple[int, ...] = ()

    def applied(self, dataset: Dataset) -> Dataset:
        """The data set with labels that are read as these options say.

        Raises:
            AfformerError: The options contradict each other or do not fit the classes, or the map cannot be read.
        """
        if self.offset is not None and self.map is not None:
            raise AfformerError("`label_offset` and `label_map` both say what ids mean; give one of them")
        wrong = [number for number in self.ignore if not 0 <= number <= _LARGEST]
        if wrong:
            raise AfformerError(f"`ignore_label` must be 0 to {_LARGEST}, the ids of label files, but got {wrong[0]}")
        if self == AS_THE_DATA_SET_HAS_THEM:
            return dataset
        return dataclasses.replace(dataset, labels=tuple(self._kind(kind, dataset) for kind in dataset.labels))

    def _kind(self, kind: LabelFiles, dataset: Dataset) -> LabelFiles:
        if self.offset is not None:
            kind = _shifted(kind, self.offset, dataset.num_classes)
        if self.map is not None:
            kind = _mapped(kind, self.map, dataset)
        return dataclasses.replace(kind, ignored=(*kind.ignored, *self.ignore), stated=True)


AS_THE_DATA_SET_HAS_THEM = LabelOptions()


def counted_from(dataset: Dataset, *, one: bool) -> Dataset:
    """The data set as a checkpoint's `reduce_zero_label` says.

    Only labels that are counted from 0 or from 1 without gaps change; those with numbers of their own, and files that
    say `TrainIds` in their name, keep them.

    Args:
        dataset: With the convention as it is otherwise.
        one: Whether labels count from 1, and their 0 is ignored.
    """
    n = dataset.num_classes
    plain = tuple(range(n)), tuple(range(1, n + 1))
    return dataclasses.replace(
        dataset,
        labels=tuple(
            dataclasses.replace(_shifted(kind, -1 if one else 0, n), stated=False)
            if kind.ids in plain and not kind.suffix
            else kind
            for kind in dataset.labels
        ),
    )


def _shifted(kind: LabelFiles, offset: int, count: int) -> LabelFiles:
    ids = tuple(range(-offset, count - offset))
    if ids[0] < 0 or ids[-1] > _LARGEST or IGNORE in ids:
        raise AfformerError(
            f"`label_offset={offset}` takes the ids {ids[0]} to {ids[-1]} for {count} classes, but labels hold 0 to "
            f"{IGNORE - 1} and {IGNORE} to ignore; check its sign"
        )
    ignored = (*range(ids[0]), IGNORE)
    return dataclasses.replace(kind, ids=ids, ignored=ignored, others=(), stated=True)


def _mapped(kind: LabelFiles, path: Path, dataset: Dataset) -> LabelFiles:
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise AfformerError(f"{path}: cannot be read as a text of ids and classes ({error})") from error
    meanings: dict[int, int] = {}
    for number, line in enumerate(lines, 1):
        if line.strip():
            key, meaning = _read(line.strip(), dataset, f"{path}, line {number}")
            if key in meanings:
                raise AfformerError(f"{path}, line {number}: the id {key} is there twice; leave one of the lines out")
            meanings[key] = meaning
    if not any(meaning != IGNORE for meaning in meanings.values()):
        raise AfformerError(f"{path}: gives no id a class; expected lines such as '7 {dataset.classes[0]}'")
    ignored = {key for key, meaning in meanings.items() if meaning == IGNORE} | ({IGNORE} - meanings.keys())
    others = tuple((key, meaning) for key, meaning in meanings.items() if meaning != IGNORE)
    ids = (NO_ID,) * dataset.num_classes
    return dataclasses.replace(kind, ids=ids, ignored=tuple(sorted(ignored)), others=others, stated=True)


def _read(line: str, dataset: Dataset, where: str) -> tuple[int, int]:
    found = _LINE.fullmatch(line)
    if found is None or int(found["id"]) > _LARGEST:
        raise AfformerError(
            f"{where}: '{line}' is not an id (0 to {_LARGEST}) and its class; expected a line such as "
            f"'7 {dataset.classes[0]}', '7 0' or '0 {_IGNORED}'"
        )
    return int(found["id"]), _class_of(found["meaning"], dataset, where)


def _class_of(meaning: str, dataset: Dataset, where: str) -> int:
    """A class by its name or its number; names win."""
    names = [name.casefold() for name in dataset.classes]
    if names.count(meaning.casefold()) == 1:
        return names.index(meaning.casefold())
    if meaning.casefold() == _IGNORED:
        return IGNORE
    if meaning.isascii() and meaning.isdecimal() and (int(meaning) < len(names) or int(meaning) == IGNORE):
        return int(meaning)
    raise AfformerError(
        f"{where}: there is no class '{meaning}'; expected one of {', '.join(dataset.classes[:5])}"
        f"{', ...' if len(names) > 5 else ''}, a number from 0 to {len(names) - 1}, or {_IGNORED}"
    )
