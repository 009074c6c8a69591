"""Exactly `argmax(bilinear(logits))` at the picture's size, without computing the full-size logits.

Between four neighbouring cell centres, bilinear interpolation is a convex combination of the four cells. With `L[k, j]`
the logit of class k at corner j of such a block, and `v_k` its interpolated value anywhere inside,

    min_j L[k, j]  <=  v_k  <=  max_j L[k, j]

1. If all four corners have the same winner, it wins everywhere in the block: no interpolation.
2. Otherwise `bound = max_k min_j L[k, j]` is reached by some class everywhere in the block, so a class with
   `max_j L[k, j] < bound` wins nowhere in it. The maximum over the four corners' winners alone is also a bound, cheaper
   and hardly lower; of 150 classes three to ten are left.
3. `v_k - v_m` is also a convex combination of its values at the corners. So a class that is below the winner m of some
   corner at all four corners wins nowhere in the block. Two or three are left, and only these are interpolated.

Ties go to the lowest class id, as in `numpy.argmax`: all steps drop only classes that are strictly below the winner.
"""

from __future__ import annotations

import dataclasses
import functools

import cv2
import numpy as np
import numpy.typing as npt

from afformer.images import ClassMap
from afformer.runtime.backends.base import Array
from afformer.runtime.workspace import Workspace

Floats = npt.NDArray[np.float32]
Index = npt.NDArray[np.intp]

_BLOCK_LIMIT = 32
"""Longer blocks are cut at this many pixels, which bounds the size of the work arrays."""
_CHUNK_ELEMENTS = 1 << 18
"""Blocks are resolved in chunks of at most this many float32 values per work array (1 MiB), which fit the cache."""


def classmap_from_logits(
    logits: npt.NDArray[np.floating],
    out_hw: tuple[int, int],
    span: tuple[float, float] | None = None,
    *,
    out: ClassMap | None = None,
    work: Workspace | None = None,
) -> ClassMap:
    """Class map of a picture from its logits: bilinear to `out_hw` (align_corners=False, edges repeated), then argmax.

    Output pixel i samples the grid at `(i + 0.5) * span / out - 0.5`, clamped to the grid, as PyTorch's `interpolate`.

    Args:
        logits: `(C, h, w)` finite logits of any floating point type; computed in float32.
        out_hw: Height and width of the class map, in pixels; may be smaller than the grid.
        span: Height and width of the part of the grid that the picture covers, from the top left corner, in cells
            (fractions allowed). The whole grid if left out.
        out: Where to write the class map; a new array if left out.
        work: Scratch memory to reuse from call to call.

    Returns:
        `(H, W)` class ids, uint8, or int32 above 256 classes.

    Raises:
        ValueError: Not three-dimensional, empty, a span outside the grid, or an `out` of another shape or type.
    """
    if logits.ndim != 3 or 0 in logits.shape or min(out_hw) < 1:
        raise ValueError(f"logits must be (C, h, w) and the output not empty, got {logits.shape} and {out_hw}")
    classes, height, width = logits.shape
    span_y, span_x = span or (height, width)
    if not (0 < span_y <= height and 0 < span_x <= width):
        raise ValueError(f"span must be inside the logit grid of {height}x{width} cells, got {span_y}x{span_x}")
    out = _checked(out, out_hw, np.uint8 if classes <= 256 else np.int32)
    work = work or Workspace()
    table = _by_cell(np.asarray(logits, np.float32), work)
    winner = _winner(table, out.dtype, work)
    grid = _Grid(_Axis.of(height, span_y, out_hw[0]), _Axis.of(width, span_x, out_hw[1]), width)

    block_winner, contested = grid.agreement(winner)
    _take(block_winner, grid.rows.block, grid.cols.block, out, work)
    step = max(1, _CHUNK_ELEMENTS // max(classes, grid.rows.size * grid.cols.size))
    for start in range(0, len(contested[0]), step):
        blocks = contested[0][start : start + step], contested[1][start : start + step]
        _resolve(table, winner, grid, blocks, out, work=work)
    return out


def resize_classmap(
    classmap: ClassMap, out_hw: tuple[int, int], *, out: ClassMap | None = None, work: Workspace | None = None
) -> ClassMap:
    """A class map at another size, each pixel taking the class of the nearest one (pixel centres aligned).

    Args:
        classmap: `(h, w)` class ids.
        out_hw: Height and width of the result, in pixels.
        out: Where to write the result; a new array if left out.
        work: Scratch memory to reuse from call to call.

    Returns:
        `(H, W)` class ids of the same type.

    Raises:
        ValueError: An `out` of another shape or type.
    """
    out = _checked(out, out_hw, classmap.dtype)
    rows, cols = (_nearest(length, size) for length, size in zip(classmap.shape, out_hw, strict=True))
    _take(classmap, rows, cols, out, work or Workspace())
    return out


@functools.lru_cache(maxsize=32)  # every frame of a video asks for the same two
def _nearest(length: int, out: int) -> Index:
    """The pixel of `length` that each pixel of `out` lies in."""
    return ((np.arange(out) + 0.5) * (length / out)).astype(np.intp)


def _checked(out: ClassMap | None, out_hw: tuple[int, int], dtype: npt.DTypeLike) -> ClassMap:
    if out is None:
        return np.empty(out_hw, dtype)
    if out.shape != out_hw or out.dtype != dtype or not out.flags.c_contiguous:
        raise ValueError(
            f"out must be a contiguous array of {np.dtype(dtype)} and shape {out_hw}, but got {out.dtype} of shape "
            f"{out.shape}"
        )
    return out


def _by_cell(logits: Floats, work: Workspace) -> Floats:
    """`(h * w, C)`: a cell's classes side by side, as the argmax and the look-ups need them."""
    classes, height, width = logits.shape
    table = work.array("table", (height * width, classes), np.float32)
    cv2.transpose(np.ascontiguousarray(logits).reshape(classes, height * width), dst=table)
    return table


def _winner(table: Floats, dtype: npt.DTypeLike, work: Workspace) -> ClassMap:
    """`(cells,)` best class of each cell."""
    best = work.array("best", table.shape[:1], np.intp)
    table.argmax(axis=1, out=best)
    winner = work.array("winner", table.shape[:1], dtype)
    np.copyto(winner, best, casting="unsafe")
    return winner


def _take(ids: ClassMap, rows: Index, cols: Index, out: ClassMap, work: Workspace) -> None:
    """Writes `ids[rows][:, cols]` into `out`."""
    widened = work.array("widened", (len(ids), len(cols)), ids.dtype)
    # No index is out of bounds; only the mode "clip" writes into `out` without a copy.
    ids.take(cols, axis=1, out=widened, mode="clip")
    widened.take(rows, axis=0, out=out, mode="clip")


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
        cells = winner.reshape(-1, self.width)
        top, bottom = cells.take(self.rows.near, axis=0), cells.take(self.rows.far, axis=0)
        first = top.take(self.cols.near, axis=1)
        differs = top.take(self.cols.far, axis=1) != first
        differs |= bottom.take(self.cols.near, axis=1) != first
        differs |= bottom.take(self.cols.far, axis=1) != first
        rows, cols = np.nonzero(differs)
        return first, (rows, cols)


def _resolve(
    table: Floats, winner: ClassMap, grid: _Grid, blocks: tuple[Index, Index], out: ClassMap, *, work: Workspace
) -> None:
    """Interpolates the classes that can win in the given blocks, and writes the winners into `out`."""
    corners = grid.corners(*blocks)
    order, contenders = _contenders(table, winner, corners, work)
    by, bx, corners = blocks[0][order], blocks[1][order], corners[:, order]
    shape = grid.rows.size, grid.cols.size, len(by)
    weights = _per_block("weight", grid.rows.weight, by, grid.cols.weight, bx, work=work)
    # Values are relative to the first contender, which then needs no interpolation.
    first = table[corners, contenders[0]]
    lead, labels = work.array("lead", shape, np.float32), work.array("labels", shape, out.dtype)
    lead.fill(0)
    np.copyto(labels, contenders[0], casting="unsafe")
    for ids in contenders[1:]:
        n = len(ids)
        value = _bilinear(table[corners[:, :n], ids] - first[:, :n], weights, work)
        better = np.greater(value, lead[..., :n], out=work.array("better", value.shape, np.bool_))
        # A masked copy takes twenty times as long as this arithmetic, which is exact modulo 256.
        change = work.array("change", value.shape, out.dtype)
        np.subtract(ids.astype(out.dtype), labels[..., :n], out=change)
        np.multiply(change, better, out=change)
        labels[..., :n] += change
        np.maximum(lead[..., :n], value, out=lead[..., :n])
    row_start, col = _per_block("pixel", grid.rows.pixel * out.shape[1], by, grid.cols.pixel, bx, work=work)
    out.reshape(-1)[np.add(row_start, col, out=work.array("target", shape, np.intp))] = labels


def _per_block(name: str, rows: Array, by: Index, cols: Array, bx: Index, *, work: Workspace) -> tuple[Array, Array]:
    """Values per row and per column of n blocks, `(bh, 1, n)` and `(1, bw, n)`.

    The blocks are the last axis throughout: it is the long one, and numpy is fast along it.
    """
    of_rows = work.array(f"{name} of rows", (len(rows), len(by)), rows.dtype)
    of_cols = work.array(f"{name} of columns", (len(cols), len(bx)), cols.dtype)
    rows.take(by, axis=1, out=of_rows, mode="clip")
    cols.take(bx, axis=1, out=of_cols, mode="clip")
    return of_rows[:, None], of_cols[None]


def _contenders(table: Floats, winner: ClassMap, corners: Index, work: Workspace) -> tuple[Index, list[Index]]:
    """The classes that can win somewhere in a block.

    Args:
        table: `(cells, C)` logits.
        winner: `(cells,)` best class of each cell.
        corners: `(4, n)` cells at the corners of n blocks.
        work: Work arrays.

    Returns:
        An order of the blocks, most contenders first, and for each rank the contender of that rank, ascending in class
        id, of the blocks that have that many: `classes[r][i]` belongs to block `order[i]`.
    """
    rivals = table[corners[None], winner[corners][:, None]]  # (winner of a corner, at a corner, n)
    bound = rivals.min(axis=1).max(axis=0)
    shape = corners.shape[1], table.shape[1]
    reach, other = work.array("reach", shape, np.float32), work.array("other", shape, np.float32)
    table.take(corners[0], axis=0, out=reach, mode="clip")
    for corner in corners[1:]:
        np.maximum(reach, table.take(corner, axis=0, out=other, mode="clip"), out=reach)
    can_win = np.greater_equal(reach, bound[:, None], out=work.array("can win", shape, np.bool_))
    block, klass = np.divmod(np.flatnonzero(can_win), table.shape[1])
    unbeaten = _unbeaten(table, rivals, corners, block, klass, work=work)
    block, klass = block[unbeaten], klass[unbeaten]
    count = np.bincount(block)
    order = np.argsort(-count, kind="stable")
    first = (np.cumsum(count) - count)[order]
    fewer = np.searchsorted(-count[order], -np.arange(count.max()), side="left")
    return order, [klass[first[:n] + rank] for rank, n in enumerate(fewer)]


def _unbeaten(
    table: Floats, rivals: Floats, corners: Index, block: Index, klass: Index, *, work: Workspace
) -> npt.NDArray[np.bool_]:
    """Which of m pairs of a block and a class are at least as good as each of the block's rivals at some corner."""
    shape = 4, len(block)
    cell = corners.take(block, axis=1, out=work.array("cell", shape, np.intp), mode="clip")
    cell *= table.shape[1]
    cell += klass
    own = table.reshape(-1).take(cell, out=work.array("own", shape, np.float32), mode="clip")
    theirs, reaches = work.array("theirs", shape, np.float32), work.array("reaches", shape, np.bool_)
    unbeaten = np.ones(len(block), np.bool_)
    for rival in rivals:
        rival.take(block, axis=1, out=theirs, mode="clip")
        unbeaten &= np.greater_equal(own, theirs, out=reaches).any(axis=0)
    return unbeaten


def _bilinear(corner_values: Floats, weights: tuple[Array, Array], work: Workspace) -> Floats:
    """Values inside n blocks, `(bh, bw, n)`, from their `(4, n)` corners.

    Args:
        corner_values: Top left, top right, bottom left, bottom right.
        weights: Of the lower and of the right corners, `(bh, 1, n or more)` and `(1, bw, n or more)`.
        work: Work arrays.
    """
    n = corner_values.shape[1]
    weight_y, weight_x = (weight[..., :n] for weight in weights)
    top_left, top_right, bottom_left, bottom_right = corner_values
    top, bottom = (work.array(name, weight_x.shape, np.float32) for name in ("top", "bottom"))
    np.multiply(weight_x, top_right - top_left, out=top)
    top += top_left
    np.multiply(weight_x, bottom_right - bottom_left, out=bottom)
    bottom += bottom_left
    bottom -= top
    value = work.array("value", (len(weight_y), weight_x.shape[1], n), np.float32)
    np.multiply(weight_y, bottom, out=value)
    value += top
    return value
