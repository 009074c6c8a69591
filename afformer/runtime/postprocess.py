"""Exactly `argmax(bilinear(logits))` at the picture's size, without ever building the full-size logits.

Between four neighbouring cell centres, bilinear interpolation is a convex combination of the four cells. With `L[k, j]`
the logit of class k at corner j of such a block, and `v_k` its interpolated value anywhere inside,

    min_j L[k, j]  <=  v_k  <=  max_j L[k, j]

1. If all four corners have the same winner, it wins everywhere in the block: no interpolation.
2. Otherwise `bound = max_k min_j L[k, j]` is reached by some class everywhere in the block, so a class with
   `max_j L[k, j] < bound` wins nowhere in it. The maximum over the four corners' winners alone is a bound too, cheaper
   and hardly lower; of 150 classes two or three are left, and only these are interpolated.

Ties go to the lowest class id, as in `numpy.argmax`: both steps drop only classes that are strictly below the winner.
"""

from __future__ import annotations

import dataclasses
import functools

import cv2
import numpy as np
import numpy.typing as npt

from afformer.images import ClassMap

Floats = npt.NDArray[np.float32]
Index = npt.NDArray[np.intp]

_BLOCK_LIMIT = 32
"""Blocks longer than this many pixels are cut, which bounds the size of the work arrays."""
_CHUNK_ELEMENTS = 1 << 18
"""Blocks are resolved in chunks of at most this many float32 values a work array (1 MiB): flat memory, warm caches."""


def classmap_from_logits(
    logits: npt.NDArray[np.floating], out_hw: tuple[int, int], span: tuple[float, float] | None = None
) -> ClassMap:
    """Class map of a picture from its logits: bilinear to `out_hw` (align_corners=False, edges repeated), then argmax.

    Output pixel i samples the grid at `(i + 0.5) * span / out - 0.5`, clamped to the grid, as PyTorch's `interpolate`.

    Args:
        logits: `(C, h, w)` finite floating point logits; computed in float32.
        out_hw: Height and width of the class map, in pixels; may be smaller than the grid.
        span: Height and width of the part of the grid that the picture covers, from the top left corner, in cells
            (fractions allowed). The whole grid if left out.

    Returns:
        `(H, W)` class ids, uint8, or int32 above 256 classes.

    Raises:
        ValueError: Not three-dimensional, empty, or a span outside the grid.
    """
    if logits.ndim != 3 or 0 in logits.shape or min(out_hw) < 1:
        raise ValueError(f"logits must be (C, h, w) and the output not empty, got {logits.shape} and {out_hw}")
    classes, height, width = logits.shape
    span_y, span_x = span or (height, width)
    if not (0 < span_y <= height and 0 < span_x <= width):
        raise ValueError(f"span must be inside the logit grid of {height}x{width} cells, got {span_y}x{span_x}")
    planes = np.ascontiguousarray(logits, dtype=np.float32).reshape(classes, height * width)
    # Both the argmax and the look-ups below want a cell's classes side by side.
    table = np.asarray(cv2.transpose(planes), np.float32).reshape(height * width, classes)
    winner = table.argmax(axis=1).astype(np.uint8 if classes <= 256 else np.int32)
    grid = _Grid(_Axis.of(height, span_y, out_hw[0]), _Axis.of(width, span_x, out_hw[1]), width)

    block_winner, contested = grid.agreement(winner)
    out = block_winner.take(grid.cols.block, axis=1).take(grid.rows.block, axis=0)
    step = max(1, _CHUNK_ELEMENTS // max(classes, grid.rows.size * grid.cols.size))
    for start in range(0, len(contested[0]), step):
        _resolve(table, winner, grid, (contested[0][start : start + step], contested[1][start : start + step]), out)
    return out


def resize_classmap(classmap: ClassMap, out_hw: tuple[int, int]) -> ClassMap:
    """A class map at another size, each pixel taking the class of the nearest one (pixel centres aligned).

    Args:
        classmap: `(h, w)` class ids.
        out_hw: Height and width of the result, in pixels.

    Returns:
        `(H, W)` class ids of the same type.
    """
    rows, cols = (
        ((np.arange(out) + 0.5) * (length / out)).astype(np.intp)
        for length, out in zip(classmap.shape, out_hw, strict=True)
    )
    resized: ClassMap = classmap.take(cols, axis=1).take(rows, axis=0)
    return resized


@dataclasses.dataclass(frozen=True)
class _Axis:
    """Runs of output pixels between the same two cells, along one axis; b runs of at most `size` pixels.

    Attributes:
        near: `(b,)` the cell before the run.
        far: `(b,)` the cell after it; the same as `near` outside the first and last cell's centre.
        pixel: `(size, b)` output pixels of each run; a shorter run repeats its last pixel.
        weight: `(size, b)` float32 weight of `far` at each of these pixels.
        block: `(out,)` the run of each output pixel.
    """

    near: Index
    far: Index
    pixel: Index
    weight: Floats
    block: Index

    @property
    def size(self) -> int:
        return len(self.pixel)

    @classmethod
    @functools.lru_cache(maxsize=32)  # every frame of a video asks for the same two
    def of(cls, cells: int, span: float, out: int) -> _Axis:
        source = (np.arange(out) + 0.5) * (span / out) - 0.5
        cell = np.floor(source).astype(np.intp)
        index = np.arange(out)
        starts_run = np.diff(cell, prepend=-2) > 0
        run_start = np.maximum.accumulate(np.where(starts_run, index, 0))
        starts_block = (index - run_start) % _BLOCK_LIMIT == 0
        start = np.flatnonzero(starts_block)
        length = np.diff(start, append=out)
        pixel = start + np.minimum(np.arange(length.max())[:, None], length - 1)
        return cls(
            near=np.maximum(cell[start], 0),
            far=np.minimum(cell[start] + 1, cells - 1),
            pixel=pixel,
            weight=(source - cell)[pixel].astype(np.float32),
            block=np.cumsum(starts_block) - 1,
        )


@dataclasses.dataclass(frozen=True)
class _Grid:
    """The blocks of the output: all pairs of a row run and a column run."""

    rows: _Axis
    cols: _Axis
    width: int

    def corners(self, by: Index, bx: Index) -> Index:
        """`(4, n)` flat cell indices of the given blocks' corners: top left, top right, bottom left, bottom right."""
        top, bottom = self.rows.near[by] * self.width, self.rows.far[by] * self.width
        left, right = self.cols.near[bx], self.cols.far[bx]
        return np.stack([top + left, top + right, bottom + left, bottom + right])

    def agreement(self, winner: ClassMap) -> tuple[ClassMap, tuple[Index, Index]]:
        """The top left winner of every block, and the row and column of the blocks whose corners disagree."""
        by, bx = np.ogrid[: len(self.rows.near), : len(self.cols.near)]
        top, bottom = self.rows.near[by] * self.width, self.rows.far[by] * self.width
        left, right = self.cols.near[bx], self.cols.far[bx]
        first = winner[top + left]
        differs = (winner[top + right] != first) | (winner[bottom + left] != first) | (winner[bottom + right] != first)
        rows, cols = np.nonzero(differs)
        return first, (rows, cols)


def _resolve(table: Floats, winner: ClassMap, grid: _Grid, blocks: tuple[Index, Index], out: ClassMap) -> None:
    """Interpolates the classes that can win in the given blocks, and writes the winners into `out`."""
    corners = grid.corners(*blocks)
    order, contenders = _contenders(table, winner, corners)
    by, bx, corners = blocks[0][order], blocks[1][order], corners[:, order]
    # The block is the last axis throughout: it is the long one, and numpy is fast along it.
    weight_y, weight_x = grid.rows.weight[:, None, by], grid.cols.weight[None, :, bx]
    # Everything is measured against the first contender, which spares its interpolation.
    first = table[corners, contenders[0]]
    lead = np.zeros((grid.rows.size, grid.cols.size, len(by)), np.float32)
    buffer = np.empty_like(lead)
    labels = np.broadcast_to(contenders[0].astype(out.dtype), lead.shape).copy()
    for ids in contenders[1:]:
        n = len(ids)
        value = buffer[..., :n]
        _bilinear(table[corners[:, :n], ids] - first[:, :n], weight_y[..., :n], weight_x[..., :n], out=value)
        better = value > lead[..., :n]
        # A masked copy takes twenty times as long as this arithmetic, which is exact modulo 256 as well.
        labels[..., :n] += (ids.astype(out.dtype) - labels[..., :n]) * better
        np.maximum(lead[..., :n], value, out=lead[..., :n])
    target = (grid.rows.pixel * out.shape[1])[:, None, by] + grid.cols.pixel[None, :, bx]
    out.reshape(-1)[target] = labels


def _contenders(table: Floats, winner: ClassMap, corners: Index) -> tuple[Index, list[Index]]:
    """The classes that can win somewhere in a block.

    Args:
        table: `(cells, C)` logits.
        winner: `(cells,)` best class of each cell.
        corners: `(4, n)` cells at the corners of n blocks.

    Returns:
        An order of the blocks, most contenders first, and for each rank the contender of that rank, ascending in class
        id, of the blocks that have so many: `classes[r][i]` belongs to block `order[i]`.
    """
    bound = table[corners[None], winner[corners][:, None]].min(axis=1).max(axis=0)
    reach = table.take(corners[0], axis=0)
    for corner in corners[1:]:
        np.maximum(reach, table.take(corner, axis=0), out=reach)
    block, klass = np.divmod(np.flatnonzero(reach >= bound[:, None]), table.shape[1])
    count = np.bincount(block)
    order = np.argsort(-count, kind="stable")
    first = (np.cumsum(count) - count)[order]
    fewer = np.searchsorted(-count[order], -np.arange(count.max()), side="left")
    return order, [klass[first[:n] + rank] for rank, n in enumerate(fewer)]


def _bilinear(corner_values: Floats, weight_y: Floats, weight_x: Floats, out: Floats) -> None:
    """Values inside n blocks, `(bh, bw, n)`, from their `(4, n)` corners; weights `(bh, 1, n)` and `(1, bw, n)`."""
    top_left, top_right, bottom_left, bottom_right = corner_values
    top = top_left + weight_x * (top_right - top_left)
    bottom = bottom_left + weight_x * (bottom_right - bottom_left)
    np.multiply(weight_y, bottom - top, out=out)
    np.add(out, top, out=out)
