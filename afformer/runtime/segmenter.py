"""`Segmenter`: from a picture to its class map, given only a model file."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from afformer.errors import BackendError
from afformer.files import AnyPath
from afformer.images import ClassMap
from afformer.runtime.at_exit import finished_before_exit
from afformer.runtime.backends.base import Array, Backend, input_tensor
from afformer.runtime.backends.registry import open_backend
from afformer.runtime.batches import groups
from afformer.runtime.choices import Device, Fit
from afformer.runtime.pictures import Picture, check_several, load_picture
from afformer.runtime.pool import Pool
from afformer.runtime.postprocess import classmap_from_logits, resize_classmap
from afformer.runtime.preprocess import FittedPicture, Image, fit_picture, write_input
from afformer.runtime.tiling import Tiling
from afformer.runtime.workspace import Workspace
from afformer.spec import ColorOrder, ModelSpec, OutputKind

Logits = npt.NDArray[np.float32]


class _Buffers:
    """What one call needs for itself: the model's input tensor, and scratch memory."""

    def __init__(self, spec: ModelSpec) -> None:
        _, shape, dtype = input_tensor(spec)
        self.feed: Array = np.empty(shape, dtype)
        self.work = Workspace()


class Segmenter:
    """Segments pictures of any size. Any number of threads may call one segmenter at the same time.

    Args:
        model: Path of a model file, or an opened backend (which the caller closes).
        backend: Name of the backend that opens the file; chosen by the file's ending if left out.
        device: Where to run; None means the CPU, or CUDA for backends that need it.
        threads: CPU threads; 0 leaves the choice to the backend.
        fit: How pictures are brought to the input size: a `Fit` or its string.
        color_order: Order of the channels in arrays, a `ColorOrder` or its string; no other picture is affected.
        overlap: Share of a tile that it has in common with its neighbour, at least; only for `Fit.SLIDE`.
        spec: Of an ONNX model that has none of its own: a `ModelSpec`, or the path of a spec file.

    Raises:
        BackendError: The model cannot be opened, or cannot be used with `fit`.
        SpecError: The model has no readable spec, or contradicts `spec`.
        ChoiceError: There is no such fit or colour order.
        ValueError: An overlap outside [0, 1).
    """

    def __init__(
        self,
        model: AnyPath | Backend,
        *,
        backend: str | None = None,
        device: Device | str | None = None,
        threads: int = 0,
        fit: Fit | str = Fit.STRETCH,
        color_order: ColorOrder | str = ColorOrder.RGB,
        overlap: float = 1 / 3,
        spec: AnyPath | ModelSpec | None = None,
    ) -> None:
        self._fit, self._color_order = Fit(fit), ColorOrder(color_order)  # before the model, whose opening takes time
        self._owned = not isinstance(model, Backend)
        self._backend = (
            model
            if isinstance(model, Backend)
            else open_backend(model, backend, device=device, threads=threads, spec=spec)
        )
        self._overlap = overlap
        if self._fit is Fit.SLIDE:
            self._require_logits("sliding windows average logits")
            self._require_whole_cells()
            self._tiling(self.spec.input_hw)  # refuses a bad overlap now
        self._buffers = Pool(lambda: _Buffers(self.spec))

    @property
    def spec(self) -> ModelSpec:
        """The model's spec."""
        return self._backend.spec

    @property
    def backend(self) -> Backend:
        """The backend that runs the model."""
        return self._backend

    @property
    def batch(self) -> int:
        """How many pictures to pass to `segment_batch`: 1 for `Fit.SLIDE`, whose tiles fill the model's batch."""
        return 1 if self._fit is Fit.SLIDE else self.spec.batch

    def __call__(self, image: Picture, *, out: ClassMap | None = None) -> ClassMap:
        """Segments one picture.

        Args:
            image: A path, the bytes of a picture file, a uint8 array in `color_order`, or a picture of Pillow.
            out: Where to write the class map, `(H, W)` of the result's type; a new array if left out. With `out` and
                pictures of one size, nothing is allocated from the second call on.

        Returns:
            `(H, W)` class ids at the picture's own size: uint8, or int32 above 256 classes.

        Raises:
            ImageError: The file cannot be read, or the array has another shape or type.
            BackendError: The backend failed.
            ValueError: `out` does not fit.
        """
        return self.segment_batch([image], out=[out])[0]

    def segment_batch(
        self, images: Sequence[Picture], /, *, out: Sequence[ClassMap | None] | None = None
    ) -> list[ClassMap]:
        """Segments several pictures of any sizes, in groups of the model's batch.

        Args:
            images: As for one picture.
            out: Where to write each picture's class map; a new array where None.

        Raises:
            AfformerError: As for one picture.
            ValueError: An array of `out` does not fit, or `out` has another length than `images`.
        """
        check_several(images)
        outs = [None] * len(images) if out is None else out
        if len(outs) != len(images):
            raise ValueError(f"out must have one place for each of {len(images)} pictures, got {len(outs)}")
        with self._call() as buffers:
            return self._classmaps(images, outs, buffers)

    def logits(self, image: Picture) -> Logits:
        """The model's logits for one picture.

        Returns:
            `(C, h, w)` float32. `STRETCH` and `PAD`: the model's whole grid, padding included. `SLIDE`: the averaged
            grid of all tiles, one cell for `spec.stride` pixels of the picture along each axis, which may stick out at
            the right and bottom.

        Raises:
            BackendError: The model's output is a class map.
            ImageError: The file cannot be read, or the array has another shape or type.
        """
        self._require_logits("its logits were asked for")
        with self._call() as buffers:
            return self._own_logits(image, buffers)

    def close(self) -> None:
        """Closes the backend, unless it was passed in."""
        if self._owned:
            self._backend.close()

    def __enter__(self) -> Segmenter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextlib.contextmanager
    def _call(self) -> Iterator[_Buffers]:
        """The frame of every call: buffers of its own.

        The body is a function, so that the engine's arrays are freed within the frame; PyTorch's are in native code.
        """
        with finished_before_exit(), self._buffers.lent() as buffers:
            yield buffers

    def _classmaps(
        self, images: Sequence[Picture], outs: Sequence[ClassMap | None], buffers: _Buffers
    ) -> list[ClassMap]:
        if self._fit is Fit.SLIDE:
            pairs = zip(images, outs, strict=True)
            return [self._slide_classmap(*self._load(image), buffers, to) for image, to in pairs]
        outputs = zip(self._outputs(images, buffers), outs, strict=True)
        return [self._classmap(output, fitted, buffers, to) for (fitted, output), to in outputs]

    def _own_logits(self, image: Picture, buffers: _Buffers) -> Logits:
        if self._fit is Fit.SLIDE:
            return self._slide(*self._load(image), buffers).copy()
        _, output = next(self._outputs([image], buffers))
        return np.array(output, np.float32)

    def _require_logits(self, reason: str) -> None:
        if self.spec.output is not OutputKind.LOGITS:
            raise BackendError(
                f"the model's output is a class map, but {reason}; export it again with "
                "`afformer-cli export --output logits`"
            )

    def _require_whole_cells(self) -> None:
        stride = self.spec.stride
        if any(length % stride for length in self.spec.input_hw):
            height, width = self.spec.input_hw
            raise BackendError(
                f"tiles of {height}x{width} do not fit together: sliding windows need a model whose height and width "
                f"are multiples of {stride}; export one, or use another fit"
            )

    def _load(self, image: Picture) -> tuple[Image, ColorOrder]:
        return load_picture(image, self._color_order)

    def _outputs(self, images: Sequence[Picture], buffers: _Buffers) -> Iterator[tuple[FittedPicture, Array]]:
        """Each picture with its part of the model's output, valid until the next one is asked for."""
        for group in groups(images, self.spec.batch):
            loaded = [self._load(image) for image in group]
            fitted = [
                fit_picture(pixels, self.spec, self._fit, order, out=buffers.feed[i], work=buffers.work)
                for i, (pixels, order) in enumerate(loaded)
            ]
            yield from zip(fitted, self._run(buffers.feed, len(group)), strict=True)

    def _run(self, feed: Array, filled: int) -> Array:
        """The outputs for the first rows of the feed. The batch is fixed, so the other rows repeat the first."""
        feed[filled:] = feed[0]
        output = self._backend.run(feed)[:filled]
        if output.dtype.kind == "f" and not np.isfinite(output.sum(dtype=np.float32)):
            raise BackendError(f"{self._backend.description}: the model's logits are not finite; its numbers overflow")
        if output.dtype.kind != "f" and output.max() >= self.spec.num_classes:
            raise BackendError(
                f"{self._backend.description}: differs from its own spec: class id {output.max()}, but only "
                f"{self.spec.num_classes} classes; export it again"
            )
        return output

    def _classmap(
        self, output: Array, fitted: FittedPicture, buffers: _Buffers, out: ClassMap | None = None
    ) -> ClassMap:
        if self.spec.output is OutputKind.LOGITS:
            span = fitted.span_y, fitted.span_x
            return classmap_from_logits(output, fitted.image_hw, span, out=out, work=buffers.work)
        height, width = fitted.covered_hw
        return resize_classmap(output[:height, :width], fitted.image_hw, out=out, work=buffers.work)

    def _tiling(self, image_hw: tuple[int, int]) -> Tiling:
        return Tiling.over(image_hw, self.spec.input_hw, self._overlap, self.spec.stride)

    def _slide_classmap(
        self, image: Image, order: ColorOrder, buffers: _Buffers, out: ClassMap | None = None
    ) -> ClassMap:
        height, width = image.shape[:2]
        span = height / self.spec.stride, width / self.spec.stride
        return classmap_from_logits(
            self._slide(image, order, buffers), (height, width), span, out=out, work=buffers.work
        )

    def _slide(self, image: Image, order: ColorOrder, buffers: _Buffers) -> Logits:
        """`(C, h, w)` averaged logits of all tiles on their common grid, in the buffers."""
        height, width = self.spec.input_hw
        tiling = self._tiling((image.shape[0], image.shape[1]))
        total = buffers.work.array("total", (self.spec.num_classes, *tiling.grid_hw), np.float32)
        count = buffers.work.array("count", tiling.grid_hw, np.float32)
        total.fill(0)
        count.fill(0)
        for group in groups(tiling, self.spec.batch):
            for i, tile in enumerate(group):
                pixels = image[tile.y : tile.y + height, tile.x : tile.x + width]
                write_input(pixels, self.spec, order, out=buffers.feed[i], work=buffers.work)
            for tile, logits in zip(group, self._run(buffers.feed, len(group)), strict=True):
                rows, cols = tiling.cells(tile)
                total[:, rows, cols] += logits
                count[rows, cols] += 1
        total /= count
        return total
