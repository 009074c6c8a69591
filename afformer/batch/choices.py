"""What a caller chooses about a cluster's work; light, so that the command can offer it."""

from __future__ import annotations

import dataclasses

from afformer.choice import Choice, take_choices
from afformer.errors import ChoiceError


class Masks(Choice):
    """Where the masks of pictures go."""

    PARQUET = "parquet"
    """Into the column `mask`, as the bytes of PNG files."""
    FILES = "files"
    """Into PNG files under the folder `masks`; the column `mask_file` names them."""
    BOTH = "both"
    NONE = "none"
    """Nowhere: only the classes' shares are kept."""

    @property
    def in_parquet(self) -> bool:
        """Whether the column `mask` is filled."""
        return self in (Masks.PARQUET, Masks.BOTH)

    @property
    def in_files(self) -> bool:
        """Whether files are written."""
        return self in (Masks.FILES, Masks.BOTH)


@dataclasses.dataclass(frozen=True)
class BatchOptions:
    """How pictures are spread over a cluster, and what is kept of them. Enums may be given as their strings.

    Attributes:
        masks: Where masks go.
        address: The cluster: `auto` for the one that this machine belongs to, `HOST:PORT`, or None for one of this
            process, on this machine.
        workers: Most workers at a time; None for as many as the cluster has CPUs for, or GPUs.
        part_size: Most pictures of a part.
        path_column: Column of Parquet files with the pictures' paths or URLs.
        bytes_column: Column with the bytes of picture files; taken if it is there.
        retry_errors: Whether pictures that an earlier run could not use are tried again.
    """

    masks: Masks = Masks.PARQUET
    address: str | None = None
    workers: int | None = None
    part_size: int = 256
    path_column: str = "path"
    bytes_column: str = "bytes"
    retry_errors: bool = False

    def __post_init__(self) -> None:
        take_choices(self, masks=Masks)
        for name, value in (("workers", self.workers), ("part_size", self.part_size)):
            if value is not None and value < 1:
                raise ChoiceError(f"`{name}` must be 1 or more, got {value}")
