"""`afformer.h` as another language sees it: the structs and functions of the shared library through ctypes."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]

OK, INVALID_ARGUMENT, IMAGE, SPEC_ERROR, BACKEND = range(5)
RGB, BGR = range(2)
AUTO, CPU, CUDA = range(3)


class Options(ctypes.Structure):
    _fields_ = (
        ("size", ctypes.c_size_t),
        ("device", ctypes.c_int),
        ("threads", ctypes.c_int),
        ("fit", ctypes.c_int),
        ("library", ctypes.c_char_p),
    )


class Spec(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_char_p) for name in ("variant", "dataset", "precision", "checkpoint_sha256")),
        *(
            (name, ctypes.c_int)
            for name in ("height", "width", "batch", "num_classes", "takes_bytes", "gives_classmap")
        ),
        *((name, ctypes.c_double * 3) for name in ("mean", "std")),
        ("takes_bgr", ctypes.c_int),
    )


class Image(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_void_p),
        ("height", ctypes.c_int),
        ("width", ctypes.c_int),
        ("stride", ctypes.c_ssize_t),
        ("order", ctypes.c_int),
    )


class ClassMap(ctypes.Structure):
    _fields_ = (("ids", ctypes.c_void_p), ("length", ctypes.c_size_t))


class Library:
    """The functions of `afformer.h`, with their types."""

    def __init__(self, path: Path, onnxruntime: Path) -> None:
        handle, size = ctypes.c_void_p, ctypes.c_size_t
        self._onnxruntime = str(onnxruntime).encode()
        self._c = ctypes.CDLL(str(path))
        of_one = {"num_classes": ctypes.c_int, "input_height": ctypes.c_int, "input_width": ctypes.c_int}
        texts = {"description": ctypes.c_char_p, "spec_json": ctypes.c_char_p}
        functions: dict[str, tuple[Any, ...]] = {
            "open": (ctypes.c_int, ctypes.c_char_p, ctypes.POINTER(Options), ctypes.POINTER(handle)),
            "segment": (
                *(ctypes.c_int, handle, handle, ctypes.c_int, ctypes.c_int),
                *(ctypes.c_ssize_t, ctypes.c_int, handle, size),
            ),
            "open_onnx": (ctypes.c_int, handle, size, ctypes.POINTER(Options), ctypes.POINTER(handle)),
            "open_engine": (
                *(ctypes.c_int, handle, size, ctypes.c_char_p),
                *(ctypes.POINTER(Options), ctypes.POINTER(handle)),
            ),
            "segment_batch": (ctypes.c_int, handle, ctypes.POINTER(Image), ctypes.POINTER(ClassMap), size),
            "get_spec": (ctypes.POINTER(Spec), handle),
            "close": (None, handle),
            "last_error": (ctypes.c_char_p,),
            "version": (ctypes.c_char_p,),
            "class_name": (ctypes.c_char_p, handle, ctypes.c_int),
            "class_color": (ctypes.POINTER(ctypes.c_uint8), handle, ctypes.c_int),
            **{name: (kind, handle) for name, kind in {**of_one, **texts}.items()},
        }
        for name, (result, *arguments) in functions.items():
            function = getattr(self._c, f"afformer_{name}")
            function.restype, function.argtypes = result, arguments

    def __getattr__(self, name: str) -> Any:
        return getattr(self._c, f"afformer_{name}")

    def options(self, **changes: int) -> Options:
        return Options(**{"size": ctypes.sizeof(Options), "threads": 1, "library": self._onnxruntime, **changes})

    def opened(self, model: Path, options: Options | None = None) -> ctypes.c_void_p:
        handle = ctypes.c_void_p()
        status = self.open(str(model).encode(), ctypes.byref(options or self.options()), ctypes.byref(handle))
        assert status == OK, self.last_error()
        return handle

    def error(self) -> str:
        return str(self.last_error().decode())


def call(c: Library, segmenter: Any, picture: Picture, /, **changes: Any) -> tuple[int, Picture]:
    """Segments a picture; `changes` replace arguments by wrong ones."""
    height, width, _ = picture.shape
    ids = np.full((height, width), 255, np.uint8)
    arguments = {
        "segmenter": segmenter,
        "data": picture.ctypes.data,
        "height": height,
        "width": width,
        "stride": picture.strides[0],
        "order": RGB,
        "ids": ids.ctypes.data,
        "length": ids.size,
        **changes,
    }
    return c.segment(*arguments.values()), ids
