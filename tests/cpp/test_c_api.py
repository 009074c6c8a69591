"""`afformer.h`: the shared library as another language sees it, and as a C compiler does."""

from __future__ import annotations

import ctypes
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from afformer import assets
from afformer.images import read_image
from afformer.runtime import Fit, Segmenter
from afformer.spec import InputKind, ModelSpec, OutputKind
from tests.builders.tiny_onnx import SPEC, variants, without_metadata, write_tiny_onnx
from tests.cpp.c_library import (
    AUTO,
    BACKEND,
    BGR,
    CPU,
    CUDA,
    IMAGE,
    INVALID_ARGUMENT,
    OK,
    RGB,
    SPEC_ERROR,
    ClassMap,
    Image,
    Library,
    Options,
    call,
)
from tests.cpp.conftest import CPP, STRICT_C, run


@pytest.fixture(scope="module")
def c(built: Path, onnxruntime_library: Path) -> Library:
    return Library(built / "libafformer.so", onnxruntime_library)


@pytest.fixture
def segmenter(c: Library, tmp_path: Path) -> Iterator[ctypes.c_void_p]:
    handle = c.opened(write_tiny_onnx(tmp_path / "model.onnx"))
    yield handle
    c.close(handle)


@pytest.mark.parametrize("fit", [Fit.STRETCH, Fit.PAD])
def test_class_maps_are_those_of_python(c: Library, fit: Fit) -> None:
    handle = c.opened(assets.MODEL, c.options(fit=list(Fit).index(fit)))
    photo = read_image(assets.pictures()[0])[50:451, 30:531]
    with Segmenter(assets.MODEL, fit=fit, threads=1) as segment:
        expected = segment(np.ascontiguousarray(photo))
    dense, swapped = np.ascontiguousarray(photo), np.ascontiguousarray(photo[..., ::-1])
    for given, how in ((photo, {}), (dense, {}), (dense, {"stride": 0}), (swapped, {"order": BGR})):
        status, ids = call(c, handle, given, **how)
        assert status == OK, c.error()
        assert (ids == expected).mean() >= 0.9999
    c.close(handle)


def test_everything_that_a_model_says_of_itself_can_be_asked(c: Library, segmenter: ctypes.c_void_p) -> None:
    assert c.num_classes(segmenter) == 4
    assert [c.class_name(segmenter, i).decode() for i in range(4)] == list(SPEC.classes)
    assert [tuple(c.class_color(segmenter, i)[:3]) for i in range(4)] == list(SPEC.palette)
    assert (c.input_height(segmenter), c.input_width(segmenter)) == SPEC.input_hw
    assert c.description(segmenter).decode().endswith(", cpu, 1 threads")
    assert ModelSpec.from_json(c.spec_json(segmenter).decode()) == SPEC
    assert json.loads(SPEC.to_json()) == json.loads(c.spec_json(segmenter))
    assert f'AFFORMER_VERSION "{c.version().decode()}"' in (CPP / "include" / "afformer" / "afformer.h").read_text()


@pytest.mark.parametrize("name", variants())
def test_the_spec_has_every_field(c: Library, tmp_path: Path, name: str) -> None:
    expected = variants()[name]
    handle = c.opened(write_tiny_onnx(tmp_path / "model.onnx", expected))
    spec = c.get_spec(handle)[0]
    assert (spec.variant.decode(), spec.dataset.decode()) == (expected.variant, expected.dataset)
    assert spec.precision.decode() == expected.precision.value
    assert spec.checkpoint_sha256.decode() == expected.checkpoint_sha256
    assert (spec.height, spec.width, spec.batch, spec.num_classes) == (
        *(*expected.input_hw, expected.batch),
        expected.num_classes,
    )
    assert bool(spec.takes_bytes) == (expected.input is InputKind.UINT8)
    assert bool(spec.gives_classmap) == (expected.output is OutputKind.CLASSMAP)
    assert (tuple(spec.mean), tuple(spec.std)) == (expected.mean, expected.std)
    c.close(handle)


def test_a_model_is_opened_from_memory_that_is_freed_afterwards(c: Library) -> None:
    handle, content = (
        ctypes.c_void_p(),
        ctypes.create_string_buffer(assets.MODEL.read_bytes(), assets.MODEL.stat().st_size),
    )
    status = c.open_onnx(content, len(content), ctypes.byref(c.options()), ctypes.byref(handle))
    assert status == OK, c.error()
    ctypes.memset(content, 0, len(content))
    photo = read_image(assets.pictures()[0])
    with Segmenter(assets.MODEL, threads=1) as segment:
        np.testing.assert_array_equal(call(c, handle, photo)[1], segment(photo))
    c.close(handle)


def test_what_cannot_be_opened_from_memory_says_why(c: Library, tmp_path: Path) -> None:
    handle = ctypes.c_void_p(1)
    bare = without_metadata(write_tiny_onnx(tmp_path / "bare.onnx")).read_bytes()
    onnx = (
        (bare, len(bare), SPEC_ERROR, "the model in memory: has no 'afformer_spec' in its metadata"),
        (b"nonsense", 8, BACKEND, "the model in memory: is not an ONNX model that ONNX Runtime can load"),
        (b"", 0, BACKEND, "the model in memory: is not an ONNX model that ONNX Runtime can load"),
        (None, 0, INVALID_ARGUMENT, "model must not be NULL"),
    )
    for model, size, status, text in onnx:
        handle.value = 1
        found = c.open_onnx(model, size, ctypes.byref(c.options()), ctypes.byref(handle))
        assert found == status
        assert not handle.value
        assert text in c.error()
    for json_text, status, text in (
        (b"{}", BACKEND, "the engine in memory: is a TensorRT engine, but this library was built without TensorRT"),
        (None, INVALID_ARGUMENT, "json must not be NULL"),
    ):
        assert c.open_engine(b"plan", 4, json_text, ctypes.byref(c.options()), ctypes.byref(handle)) == status
        assert text in c.error()


def test_pictures_of_any_sizes_are_segmented_as_a_batch(c: Library, tmp_path: Path) -> None:
    handle = c.opened(write_tiny_onnx(tmp_path / "model.onnx", variants()["batch of three"]))
    random = np.random.default_rng(0)
    pictures = [random.integers(0, 256, (20 + 9 * i, 70 - 7 * i, 3), np.uint8) for i in range(7)]
    maps = [np.full(picture.shape[:2], 255, np.uint8) for picture in pictures]
    images = (Image * 7)(*(Image(p.ctypes.data, *p.shape[:2], 0, RGB) for p in pictures))
    classmaps = (ClassMap * 7)(*(ClassMap(m.ctypes.data, m.size) for m in maps))
    assert c.segment_batch(handle, images, classmaps, 7) == OK, c.error()
    for picture, found in zip(pictures, maps, strict=True):
        np.testing.assert_array_equal(found, call(c, handle, picture)[1])
    assert c.segment_batch(handle, None, None, 0) == OK
    maps[0][:] = 255
    classmaps[6].length -= 1
    assert c.segment_batch(handle, images, classmaps, 7) == INVALID_ARGUMENT
    assert (maps[0] == 255).all()  # nothing is written where an argument is wrong
    assert c.segment_batch(handle, None, classmaps, 1) == INVALID_ARGUMENT
    assert c.error() == "images and classmaps must not be NULL"
    c.close(handle)


def test_one_handle_serves_eight_threads(c: Library) -> None:
    handle = c.opened(assets.MODEL)
    photo = read_image(assets.pictures()[0])
    sizes = [(200 + 30 * (i % 3), 150 + 20 * (i % 2)) for i in range(10)]
    pictures = [np.asarray(cv2.resize(photo[:, 40 * i :], size), np.uint8) for i, size in enumerate(sizes)]
    expected = [call(c, handle, picture)[1] for picture in pictures]

    def segment(i: int) -> bool:
        status, ids = call(c, handle, pictures[i % 10])
        return status == OK and bool((ids == expected[i % 10]).all())

    with ThreadPoolExecutor(8) as pool:  # ctypes lets other threads run meanwhile
        assert all(pool.map(segment, range(120)))
    c.close(handle)


@pytest.mark.parametrize("letter", ["é", "€", "😀"])
def test_an_error_ends_at_a_whole_character(c: Library, tmp_path: Path, letter: str) -> None:
    for shift in range(4):
        name = str(tmp_path / ("a" * shift + letter * 3000))
        assert c.open(name.encode(), None, ctypes.byref(ctypes.c_void_p())) == BACKEND
        assert c.error().startswith(f"{tmp_path}/{'a' * shift}{letter}")


@pytest.mark.parametrize("device", [AUTO, CPU])
def test_models_of_onnx_run_on_the_cpu_whether_told_or_not(c: Library, tmp_path: Path, device: int) -> None:
    handle = c.opened(write_tiny_onnx(tmp_path / "model.onnx"), c.options(device=device))
    assert c.description(handle).decode().endswith(", cpu, 1 threads")
    c.close(handle)


def test_asking_for_what_is_not_there_gives_nothing(c: Library, segmenter: ctypes.c_void_p) -> None:
    for i in (-1, 4, 2**31 - 1):
        assert c.class_name(segmenter, i) is None
        assert not c.class_color(segmenter, i)
    assert [f(None) for f in (c.num_classes, c.input_height, c.input_width)] == [0, 0, 0]
    assert [f(None) for f in (c.description, c.spec_json)] == [None, None]
    assert not c.get_spec(None)
    assert c.class_name(None, 0) is None
    c.close(None)


@pytest.mark.parametrize(
    ("changes", "status", "text"),
    [
        ({"segmenter": None}, INVALID_ARGUMENT, "segmenter must not be NULL"),
        ({"ids": None}, INVALID_ARGUMENT, "takes 2000 bytes, but got a null pointer"),
        ({"length": 1999}, INVALID_ARGUMENT, "a picture of 40x50 takes 2000 bytes, but got 1999"),
        ({"length": 2001}, INVALID_ARGUMENT, "a picture of 40x50 takes 2000 bytes, but got 2001"),
        ({"order": 2}, INVALID_ARGUMENT, "order must be an afformer_order"),
        ({"data": None}, INVALID_ARGUMENT, "data must not be NULL"),
        ({"height": 0}, IMAGE, "a picture must be"),
        ({"width": -50}, IMAGE, "a picture must be"),
        ({"stride": 149}, IMAGE, "149 bytes apart"),
        ({"stride": -150}, IMAGE, "a picture must be"),
    ],
)
def test_wrong_arguments_are_refused_and_nothing_is_written(
    c: Library, segmenter: ctypes.c_void_p, changes: dict[str, Any], status: int, text: str
) -> None:
    found, ids = call(c, segmenter, np.zeros((40, 50, 3), np.uint8), **changes)
    assert found == status
    assert text in c.error()
    assert (ids == 255).all()
    assert call(c, segmenter, np.zeros((40, 50, 3), np.uint8))[0] == OK  # and it still works


def test_what_cannot_be_opened_says_why(c: Library, tmp_path: Path) -> None:
    handle = ctypes.c_void_p(1)
    good, bare = write_tiny_onnx(tmp_path / "good.onnx"), without_metadata(write_tiny_onnx(tmp_path / "bare.onnx"))
    strange = Options(size=8)
    cases = (
        (str(tmp_path / "none.onnx"), c.options(), BACKEND, "none.onnx: no such model file"),
        (str(bare), c.options(), SPEC_ERROR, "bare.onnx: has no 'afformer_spec' in its metadata"),
        (str(good), c.options(threads=-1), BACKEND, "threads must be 0 (automatic) or more, got -1"),
        (str(good), c.options(device=CUDA), BACKEND, "cuda is not available in this ONNX Runtime"),
        (str(good), c.options(device=CUDA + 1), INVALID_ARGUMENT, "options.device must be"),
        (str(good), c.options(device=-1), INVALID_ARGUMENT, "options.device must be"),
        (str(good), c.options(fit=2), INVALID_ARGUMENT, "options.fit must be"),
        (str(good), strange, INVALID_ARGUMENT, "options.size must be sizeof(afformer_options)"),
        (None, c.options(), INVALID_ARGUMENT, "model must not be NULL"),
    )
    for model, options, status, text in cases:
        handle.value = 1
        found = c.open(model.encode() if model else None, ctypes.byref(options), ctypes.byref(handle))
        assert found == status
        assert not handle.value
        assert text in c.error()
    assert c.open(str(good).encode(), ctypes.byref(c.options()), None) == INVALID_ARGUMENT


def test_the_last_error_is_each_threads_own(c: Library) -> None:
    def fail(name: str) -> str:
        handle = ctypes.c_void_p()
        assert c.open(name.encode(), None, ctypes.byref(handle)) == BACKEND
        return c.error()

    fail("here.bin")
    found: list[str] = []
    other = threading.Thread(target=lambda: found.extend((c.error(), fail("there.bin"))))
    other.start()
    other.join()
    assert found[0] == ""
    assert found[1].startswith("there.bin: ")
    assert c.error().startswith("here.bin: ")


def test_memory_that_runs_out_is_a_status(built: Path, onnxruntime_library: Path, tmp_path: Path) -> None:
    source, program = tmp_path / "hungry.c", tmp_path / "hungry"
    source.write_text(HUNGRY)
    run("cc", *STRICT_C, f"-I{CPP / 'include'}", source, f"-L{built}", "-lafformer", "-o", program)
    library = f"{built}:{onnxruntime_library.parent}"
    assert run(program, assets.MODEL, LD_LIBRARY_PATH=library) == "5 out of memory; 5 out of memory; 0, the same\n"


HUNGRY = """
#include <afformer/afformer.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

/* A picture of 1 x 20,000,000 takes tables that do not fit into what is left; a small one does afterwards. */
int main(int argc, char** argv) {
    static unsigned char pixels[3 * 20000000], ids[20000000], before[480 * 640];
    afformer_options options = AFFORMER_OPTIONS;
    afformer_segmenter* segmenter = NULL;
    struct rlimit limit;
    long kib = 0;
    int status, times, i;
    FILE* file;
    for (i = 0; i < 3 * 480 * 640; ++i) {
        pixels[i] = (unsigned char)(i / 640 + i % 640 * 7);
    }
    options.threads = 1;
    if (argc != 2 || afformer_open(argv[1], &options, &segmenter) != AFFORMER_OK ||
        afformer_segment(segmenter, pixels, 480, 640, 0, AFFORMER_RGB, before, 480 * 640) != AFFORMER_OK) {
        fprintf(stderr, "%s\\n", afformer_last_error());
        return 1;
    }
    file = fopen("/proc/self/statm", "r");
    if (file == NULL || fscanf(file, "%ld", &kib) != 1) {
        return 1;
    }
    fclose(file);
    limit.rlim_cur = limit.rlim_max = (rlim_t)kib * 4096 + 20000000;
    if (setrlimit(RLIMIT_AS, &limit) != 0) {
        return 1;
    }
    for (times = 0; times < 2; ++times) {
        status = afformer_segment(segmenter, pixels, 1, 20000000, 0, AFFORMER_RGB, ids, sizeof ids);
        printf("%d %s; ", status, afformer_last_error());
    }
    status = afformer_segment(segmenter, pixels, 480, 640, 0, AFFORMER_RGB, ids, 480 * 640);
    printf("%d, %s\\n", status, memcmp(before, ids, sizeof before) == 0 ? "the same" : "another one");
    afformer_close(segmenter);
    return 0;
}
"""


def test_the_example_in_c_paints_what_python_sees(built: Path, onnxruntime_library: Path, tmp_path: Path) -> None:
    photo, painted = tmp_path / "photo.ppm", tmp_path / "painted.ppm"
    picture = read_image(assets.pictures()[1])
    cv2.imwrite(str(photo), picture[..., ::-1])
    printed = run(
        *(built / "examples" / "afformer-segment-c", assets.MODEL, photo, painted),
        AFFORMER_ONNXRUNTIME=str(onnxruntime_library),
    )
    with Segmenter(assets.MODEL) as segment:
        expected = segment(picture)
        assert "ONNX Runtime" in printed
        for id_, name in enumerate(segment.spec.classes):
            assert f"{100 * (expected == id_).mean():6.2f} %  {name}\n" in printed
        colours = np.array(segment.spec.palette, np.uint8)[expected]
    assert (read_image(painted) == colours).all(axis=-1).mean() >= 0.9999
