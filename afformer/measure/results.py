"""What measurements on pictures found, as data, as text and as plain data for JSON."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from afformer.measure.pictures import Failure
from afformer.measure.tables import percent, plain, summarised


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """How good class maps are against labels.

    Attributes:
        miou: Mean IoU, 0..1, over the classes that occur; nan if no picture could be used.
        per_class_iou: IoU by class name, in the data set's order; nan for classes that do not occur.
        pixel_accuracy: Share of the labelled pixels that are right, 0..1.
        pictures: Number of pictures that were used.
        failures: Those that were not.
        notes: How the labels were read where that is not obvious, and which reading would score far higher; one
            sentence each.
    """

    miou: float
    per_class_iou: dict[str, float]
    pixel_accuracy: float
    pictures: int
    failures: tuple[Failure, ...] = ()
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain data for `json.dumps`; nan becomes None."""
        return dict(plain(self))

    def to_table(self) -> str:
        """One line per class, then the summary; percentages."""
        rows = [(name, percent(iou)) for name, iou in self.per_class_iou.items()]
        total = [("mIoU", percent(self.miou)), ("pixel accuracy", percent(self.pixel_accuracy))]
        table = summarised([("class", "IoU %"), *rows], [*total, ("pictures", str(self.pictures))])
        return "\n".join([table, *self.notes])


@dataclasses.dataclass(frozen=True)
class Comparison:
    """How far `b` agrees with `a`, which is taken for the truth.

    Attributes:
        pixel_agreement: Share of all pixels, 0..1, where both give the same class; nan if no picture could be used.
        worst_picture: The picture where they agree least, or None.
        worst_agreement: Their agreement there, 0..1.
        miou: Mean IoU of `b` with `a`'s class maps as the truth.
        per_class_iou: The same by class name; nan for classes that neither saw.
        pictures: Number of pictures that were used.
        failures: Those that were not.
        note: How the class lists of the two differ, in one sentence; empty if they do not.
    """

    pixel_agreement: float
    worst_picture: Path | None
    worst_agreement: float
    miou: float
    per_class_iou: dict[str, float]
    pictures: int
    failures: tuple[Failure, ...] = ()
    note: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain data for `json.dumps`; nan becomes None."""
        return dict(plain(self))

    def to_table(self) -> str:
        """The summary; percentages, to three decimals because good models agree nearly everywhere."""
        worst = f" ({self.worst_picture.name})" if self.worst_picture else ""
        rows = [
            ("pixel agreement", percent(self.pixel_agreement, 3)),
            ("worst picture", percent(self.worst_agreement, 3) + worst),
            ("mIoU, A as truth", percent(self.miou, 3)),
            ("pictures", str(self.pictures)),
        ]
        table = summarised([("measure", "B against A, %")], rows)
        return f"{table}\n{self.note}" if self.note else table
