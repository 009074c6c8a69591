"""`Segmenter`: from a picture to its class map, with nothing but a model file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType

import numpy as np
import numpy.typing as npt

from afformer.errors import BackendError
from afformer.images import ClassMap, read_image
from afformer.runtime.backends.base import Array, Backend, Device, input_tensor
from afformer.runtime.backends.registry import open_backend
from afformer.runtime.batches import groups
from afformer.runtime.postprocess import classmap_from_logits, resize_classmap
from afformer.runtime.preprocess import ColorOrder, Fit, Image, Prepared, check_image, place, prepare
from afformer.runtime.tiling import STRIDE, Tiling
from afformer.runtime.workspace import Workspace
from afformer.spec import ModelSpec, OutputKind

Logits = npt.NDArray[np.float32]
Source = str | Path | Image


class Segmenter:
    """Segments pictures of any size. Holds work buffers, so one segmenter serves one thread.

    Args:
        model: A model file, or an opened backend (which the caller closes).
        backend: Name of the backend to open the file with; by its ending if left out.
        device: Where to run; None is the CPU, except for engines of a GPU.
        threads: CPU threads; 0 leaves the choice to the engine.
        fit: How pictures are brought to the model's input size.
        color_order: Order of the channels in arrays; pictures read from a path are always right.
        overlap: Share of a tile that neighbours have in common at least; only for `Fit.SLIDE`.

    Raises:
        BackendError: The model cannot be opened, or does not go with `fit`.
        SpecError: The model has no readable spec.
        ValueError: An overlap outside [0, 1).
    """

    def __init__(
        self,
        model: str | Path | Backend,
        *,
        backend: str | None = None,
        device: Device | str | None = None,
        threads: int = 0,
        fit: Fit = Fit.STRETCH,
        color_order: ColorOrder = ColorOrder.RGB,
        overlap: float = 1 / 3,
    ) -> None:
        self._owned = not isinstance(model, Backend)
        self._backend = (
            model if isinstance(model, Backend) else open_backend(model, backend, device=device, threads=threads)
        )
        self._fit = fit
        self._color_order = color_order
        self._overlap = overlap
        if fit is Fit.SLIDE:
            self._require_logits("sliding windows average logits")
            self._require_whole_cells()
            Tiling.over(self.spec.input_hw, self.spec.input_hw, overlap)  # refuses a bad overlap now, not at a picture
        _, shape, dtype = input_tensor(self.spec)
        self._feed: Array = np.empty(shape, dtype)
        self._work = Workspace()

    @property
    def spec(self) -> ModelSpec:
        """What the model says of itself."""
        return self._backend.spec

    @property
    def backend(self) -> Backend:
        """The engine behind it."""
        return self._backend

    @property
    def batch(self) -> int:
        """How many pictures are worth passing to `segment_batch`: one in tiles, since these fill the model's batch."""
        return 1 if self._fit is Fit.SLIDE else self.spec.batch

    def __call__(self, image: Source, *, out: ClassMap | None = None) -> ClassMap:
        """Segments one picture.

        Args:
            image: A path, or an `(H, W, 3)` uint8 array in `color_order`.
            out: Where to write the class map, `(H, W)` of the result's type; a new array if left out. With it, and
                pictures of one size, nothing is allocated from the second call on.

        Returns:
            `(H, W)` class ids at the picture's own size: uint8, or int32 above 256 classes.

        Raises:
            ImageError: The file cannot be read, or the array is no such picture.
            BackendError: The engine failed.
            ValueError: `out` does not fit.
        """
        if self._fit is Fit.SLIDE:
            return self._slide_classmap(*self._load(image), out)
        prepared, answer = next(self._answers([image]))
        return self._classmap(answer, prepared, out)

    def segment_batch(
        self, images: Sequence[Source], /, *, out: Sequence[ClassMap | None] | None = None
    ) -> list[ClassMap]:
        """Segments several pictures, of any sizes, as many at a time as the model's batch holds.

        Args:
            images: As for one picture.
            out: For each picture where to write its class map; a new array where it is None.

        Raises:
            AfformerError: As for one picture.
            ValueError: An array of `out` does not fit, or there is not one for each picture.
        """
        outs = [None] * len(images) if out is None else out
        if len(outs) != len(images):
            raise ValueError(f"out must have one place for each of {len(images)} pictures, got {len(outs)}")
        if self._fit is Fit.SLIDE:
            return [self._slide_classmap(*self._load(image), to) for image, to in zip(images, outs, strict=True)]
        answers = zip(self._answers(images), outs, strict=True)
        return [self._classmap(answer, prepared, to) for (prepared, answer), to in answers]

    def logits(self, image: Source) -> Logits:
        """The model's logits for one picture.

        Returns:
            `(C, h, w)` float32. `STRETCH` and `PAD`: the model's whole grid, padding included. `SLIDE`: the averaged
            grid of all tiles, one cell for 8x8 pixels of the picture, which may stick out at the right and bottom.

        Raises:
            BackendError: The model answers with class maps.
            ImageError: The file cannot be read, or the array is no such picture.
        """
        self._require_logits("its logits were asked for")
        if self._fit is Fit.SLIDE:
            return self._slide(*self._load(image)).copy()
        _, answer = next(self._answers([image]))
        return np.array(answer, np.float32)

    def close(self) -> None:
        """Frees the engine, unless it was passed in."""
        if self._owned:
            self._backend.close()

    def __enter__(self) -> Segmenter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _require_logits(self, reason: str) -> None:
        if self.spec.output is not OutputKind.LOGITS:
            raise BackendError(f"the model's output is a class map, but {reason}; export it with `--output logits`")

    def _require_whole_cells(self) -> None:
        if any(length % STRIDE for length in self.spec.input_hw):
            height, width = self.spec.input_hw
            raise BackendError(
                f"tiles of {height}x{width} do not fit together: sliding windows need a model whose height and width "
                f"are multiples of {STRIDE}; export one, or use another fit"
            )

    def _load(self, image: Source) -> tuple[Image, ColorOrder]:
        if isinstance(image, (str, Path)):
            return read_image(Path(image)), ColorOrder.RGB
        check_image(image)
        return image, self._color_order

    def _answers(self, images: Sequence[Source]) -> Iterator[tuple[Prepared, Array]]:
        """Each picture with its part of the model's answer, valid until the next one is asked for."""
        for group in groups(images, self.spec.batch):
            loaded = [self._load(image) for image in group]
            prepared = [
                prepare(pixels, self.spec, self._fit, order, out=self._feed[i], work=self._work)
                for i, (pixels, order) in enumerate(loaded)
            ]
            yield from zip(prepared, self._run(len(group)), strict=True)

    def _run(self, filled: int) -> Array:
        """The answers to the first rows of the feed; the rows behind repeat the first, as the batch is fixed."""
        self._feed[filled:] = self._feed[0]
        answer = self._backend.run(self._feed)[:filled]
        if answer.dtype.kind == "f" and not np.isfinite(answer.sum(dtype=np.float32)):
            raise BackendError(f"{self._backend.description}: the model's logits are not finite; its numbers overflow")
        if answer.dtype.kind != "f" and answer.max() >= self.spec.num_classes:
            raise BackendError(
                f"{self._backend.description}: differs from its own spec: class id {answer.max()}, but only "
                f"{self.spec.num_classes} classes; export it again"
            )
        return answer

    def _classmap(self, answer: Array, prepared: Prepared, out: ClassMap | None = None) -> ClassMap:
        if self.spec.output is OutputKind.LOGITS:
            span = prepared.span_y, prepared.span_x
            return classmap_from_logits(answer, prepared.image_hw, span, out=out, work=self._work)
        height, width = prepared.covered_hw
        return resize_classmap(answer[:height, :width], prepared.image_hw, out=out, work=self._work)

    def _slide_classmap(self, image: Image, order: ColorOrder, out: ClassMap | None = None) -> ClassMap:
        height, width = image.shape[:2]
        span = height / STRIDE, width / STRIDE
        return classmap_from_logits(self._slide(image, order), (height, width), span, out=out, work=self._work)

    def _slide(self, image: Image, order: ColorOrder) -> Logits:
        """`(C, h, w)` averaged logits of all tiles on their common grid; valid until the next call."""
        height, width = self.spec.input_hw
        tiling = Tiling.over((image.shape[0], image.shape[1]), self.spec.input_hw, self._overlap)
        total = self._work.array("total", (self.spec.num_classes, *tiling.grid_hw), np.float32)
        count = self._work.array("count", tiling.grid_hw, np.float32)
        total.fill(0)
        count.fill(0)
        for group in groups(tiling, self.spec.batch):
            for i, tile in enumerate(group):
                pixels = image[tile.y : tile.y + height, tile.x : tile.x + width]
                place(pixels, self.spec, order, out=self._feed[i], work=self._work)
            for tile, answer in zip(group, self._run(len(group)), strict=True):
                rows, cols = tiling.cells(tile)
                total[:, rows, cols] += answer
                count[rows, cols] += 1
        total /= count
        return total
