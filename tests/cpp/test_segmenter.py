"""`afformer::Segmenter` against the Python one."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import onnx
import pytest

from afformer import assets
from afformer.errors import AfformerError, BackendError, SpecError
from afformer.images import ClassMap, read_image
from afformer.runtime import ColorOrder, Fit, Segmenter
from afformer.spec import METADATA_KEY, OutputKind
from tests.builders.tiny_onnx import SPEC, variants, without_metadata, write_tiny_onnx
from tests.cpp.conftest import Once, run
from tests.cpp.driver import Driver
from tests.cpp.models import TRAINED, write_tiny, write_trained

Picture = npt.NDArray[np.uint8]
Drive = Callable[..., Driver]

SIZES = ((96, 128), (64, 96), (37, 301), (211, 97), (1, 1), (2, 700), (360, 480), (478, 928), (720, 1280))
"""The models' own sizes, odd ones, the smallest, and the photographs'."""


@pytest.fixture(scope="module")
def model(once: Once) -> Callable[[str], Path]:
    """A model file by its name."""

    def named(name: str) -> Path:
        if name == "bundled fp16":
            return assets.MODEL
        tiny = name in variants()
        return once("tiny", write_tiny) / f"{name}.onnx" if tiny else once("trained", write_trained) / f"{name}.onnx"

    return named


def pictures() -> list[Picture]:
    photos = [read_image(path) for path in assets.pictures()]
    return [
        np.asarray(cv2.resize(photos[i % 2], size[::-1], interpolation=cv2.INTER_AREA), np.uint8)
        for i, size in enumerate(SIZES)
    ]


def agreement(ours: Picture, theirs: ClassMap) -> float:
    assert ours.shape == theirs.shape
    return float((ours == theirs).mean())


@pytest.mark.parametrize("fit", [Fit.STRETCH, Fit.PAD])
@pytest.mark.parametrize("name", [*variants(), *TRAINED, "bundled fp16"])
def test_class_maps_are_those_of_python(drive: Drive, model: Callable[[str], Path], name: str, fit: Fit) -> None:
    path = model(name)
    driver = drive(path, "--fit", fit.value)
    seen = set()
    with Segmenter(path, fit=fit, threads=1) as segment:
        for picture in pictures():
            expected = segment(picture)
            assert agreement(driver(picture), expected) >= 0.9999
            seen |= set(np.unique(expected))
        assert driver.description == segment.backend.description
    assert len(seen) > 2


def test_a_model_in_memory_is_segmented_with_like_its_file(drive: Drive, model: Callable[[str], Path]) -> None:
    for name in ("bytes in, class map out", "bundled fp16"):
        ours, theirs = drive(model(name), "--from", "memory"), drive(model(name))
        assert ours.description == theirs.description
        for picture in pictures()[:4]:
            np.testing.assert_array_equal(ours(picture), theirs(picture))


def test_blue_green_red_and_rows_that_lie_apart_are_read_as_such(drive: Drive, model: Callable[[str], Path]) -> None:
    driver = drive(model("bundled fp16"))
    wide = pictures()[-1]
    part = wide[101:402, 203:704]
    assert part.strides[0] > 3 * part.shape[1]
    with Segmenter(assets.MODEL, threads=1) as segment:
        expected = segment(np.ascontiguousarray(part))
    np.testing.assert_array_equal(driver(part), expected)
    np.testing.assert_array_equal(driver(np.ascontiguousarray(part[..., ::-1]), order=1), expected)
    with Segmenter(assets.MODEL, threads=1, color_order=ColorOrder.BGR) as segment:
        swapped = segment(np.ascontiguousarray(part))
    assert (swapped != expected).any()
    np.testing.assert_array_equal(driver(part, order=1), swapped)


def test_batches_of_any_length_are_segmented_like_single_pictures(drive: Drive, model: Callable[[str], Path]) -> None:
    driver = drive(model("batch of three"))
    several = pictures()[:7]
    single = [driver(picture) for picture in several]
    for count in (2, 3, 7):
        for one, other in zip(driver.batch(several[:count]), single[:count], strict=True):
            np.testing.assert_array_equal(one, other)
    assert driver.batch([]) == []


def test_class_maps_are_written_into_the_memory_of_earlier_ones(drive: Drive, model: Callable[[str], Path]) -> None:
    driver = drive(model("float input, logits"))
    dark, bright = np.zeros((40, 50, 3), np.uint8), np.full((40, 50, 3), 255, np.uint8)
    for _ in range(3):
        assert (driver(dark) == 0).all()
        assert (driver(np.full((300, 20, 3), 255, np.uint8)) == 3).all()
        assert (driver(bright) == 3).all()


@pytest.mark.parametrize("name", ["float input, logits", "bytes in, class map out", "bundled fp16"])
@pytest.mark.parametrize("fit", ["stretch", "pad"])
def test_in_steady_state_nothing_is_allocated(
    built: Path, onnxruntime_library: Path, model: Callable[[str], Path], tmp_path: Path, name: str, fit: str
) -> None:
    photo = read_image(assets.pictures()[0])
    frames = tmp_path / "frames.raw"
    frames.write_bytes(b"".join(cv2.resize(p, (641, 479)).tobytes() for p in (photo, photo[::-1], photo[:, ::-1])))
    command = built / "tests" / "afformer-meter", model(name), frames, "479", "641", "allocations", "6"
    printed = run(*command, "--fit", fit, "--threads", "1", AFFORMER_ONNXRUNTIME=str(onnxruntime_library))
    assert printed.split() == ["0"]


def test_memory_stays_flat(
    built: Path, onnxruntime_library: Path, model: Callable[[str], Path], tmp_path: Path
) -> None:
    frames = tmp_path / "frames.raw"
    frames.write_bytes(cv2.resize(read_image(assets.pictures()[0]), (160, 120)).tobytes())
    command = built / "tests" / "afformer-meter", model("float input, logits"), frames, "120", "160", "soak", "3000"
    printed = run(*command, "--threads", "1", AFFORMER_ONNXRUNTIME=str(onnxruntime_library))
    _, after_hundred, at_the_end = map(int, printed.split())
    assert at_the_end - after_hundred < 1024


@pytest.mark.parametrize("fit", ["stretch", "pad"])
@pytest.mark.parametrize("name", [*variants(), "bundled fp16"])
def test_sanitizers_find_nothing(
    drive: Drive, sanitized: Path, model: Callable[[str], Path], tmp_path: Path, name: str, fit: str
) -> None:
    # What ONNX Runtime keeps until the process ends is its own affair.
    suppressions = tmp_path / "leaks"
    suppressions.write_text("leak:libonnxruntime\n")
    ours = drive(model(name), "--fit", fit)
    checked = drive(
        *(model(name), "--fit", fit),
        program=sanitized / "afformer-driver",
        ASAN_OPTIONS="detect_leaks=1",
        LSAN_OPTIONS=f"suppressions={suppressions}:print_suppressions=0",
    )
    for picture in pictures()[:-1]:
        np.testing.assert_array_equal(checked(picture), ours(picture))
    several = [np.ascontiguousarray(p[:, : p.shape[1] // 2 + 1]) for p in pictures()[:4]]
    checked.batch([*several, pictures()[-1][5:500, 7:701]])
    assert checked.close() == ""


def _metadata(path: Path, text: str) -> Path:
    content = onnx.load(path)
    onnx.helper.set_model_props(content, {METADATA_KEY: text})
    onnx.save(content, path)
    return path


def _dynamic(path: Path) -> Path:
    content = onnx.load(path)
    content.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "n"
    content.graph.input[0].type.tensor_type.shape.dim[2].Clear()
    onnx.save(content, path)
    return path


def _second_input(path: Path) -> Path:
    content = onnx.load(path)
    content.graph.input.append(onnx.helper.make_tensor_value_info("other", onnx.TensorProto.INT64, []))
    onnx.save(content, path)
    return path


def _broken(path: Path) -> dict[str, Callable[[], object]]:
    def liar(**changes: object) -> Callable[[], object]:
        return lambda: write_tiny_onnx(path, SPEC, dataclasses.replace(SPEC, **changes))  # type: ignore[arg-type]

    def tiny() -> Path:
        return write_tiny_onnx(path)

    return {
        "no file": lambda: None,
        "a folder": path.mkdir,
        "empty": path.touch,
        "no ONNX": lambda: path.write_text("this is no model\nat all"),
        "no spec": lambda: without_metadata(tiny()),
        "another size": liar(input_hw=(64, 128)),
        "another batch": liar(batch=2),
        "other classes": liar(classes=("a", "b", "c"), palette=SPEC.palette[:3]),
        "another input": lambda: write_tiny_onnx(path, SPEC, variants()["bytes in"]),
        "another output": lambda: write_tiny_onnx(path, SPEC, variants()["class map out"]),
        "dynamic": lambda: _dynamic(tiny()),
        "second input": lambda: _second_input(tiny()),
    }


@pytest.mark.parametrize("fault", _broken(Path()))
def test_broken_models_are_refused_in_the_words_of_python(drive: Drive, tmp_path: Path, fault: str) -> None:
    path = tmp_path / "model.onnx"
    _broken(path)[fault]()
    with pytest.raises(AfformerError) as expected:
        Segmenter(path)
    driver = drive(path)
    assert type(driver.problem) is expected.type
    # Only the Python package puts this before what ONNX Runtime says, and reads spec files.
    words = re.sub(r"\[ONNXRuntimeError\] : \d+ : \w+ : |, or say them in a file.*", "", str(expected.value))
    assert str(driver.problem) == words
    assert driver.close() == ""


@pytest.mark.parametrize(
    "text", ["", "{", "[]", SPEC.to_json().replace('"spec_version": 1', '"spec_version": 2'), '{"spec_version": 1}']
)
def test_specs_that_cannot_be_read_are_errors_here_as_there(drive: Drive, tmp_path: Path, text: str) -> None:
    path = _metadata(write_tiny_onnx(tmp_path / "model.onnx"), text)
    with pytest.raises(SpecError):
        Segmenter(path)
    problem = drive(path).problem
    assert isinstance(problem, SpecError)
    assert str(problem).startswith(f"{path}: ")
    assert "export the model again" in str(problem)


def test_a_truncated_model_is_refused_and_nothing_is_printed(drive: Drive, tmp_path: Path) -> None:
    path = write_tiny_onnx(tmp_path / "cut.onnx")
    path.write_bytes(path.read_bytes()[:-100])
    driver = drive(path)
    assert isinstance(driver.problem, (BackendError, SpecError))
    assert "cut.onnx: " in str(driver.problem)
    assert driver.close() == ""


@pytest.mark.parametrize("threads", ["-1", "1000000"])
def test_thread_counts_that_cannot_be_are_refused(drive: Drive, tmp_path: Path, threads: str) -> None:
    path = write_tiny_onnx(tmp_path / "model.onnx")
    with pytest.raises(BackendError) as expected:
        Segmenter(path, threads=int(threads))
    common = str(expected.value).partition(" to ")[0]  # Python counts the machine's cores, C++ those it may use
    assert str(drive(path, "--threads", threads).problem).startswith(common)


def test_ids_of_classes_that_the_spec_does_not_have_are_an_error(drive: Drive, tmp_path: Path) -> None:
    spec = dataclasses.replace(SPEC, output=OutputKind.CLASSMAP)
    stamped = dataclasses.replace(spec, classes=spec.classes[:2], palette=spec.palette[:2])
    model = write_tiny_onnx(tmp_path / "model.onnx", spec, stamped)
    bright = np.full((40, 50, 3), 255, np.uint8)
    with pytest.raises(BackendError, match=r"class id 3, but only 2 classes; export it again$") as expected:
        Segmenter(model, threads=1)(bright)
    driver = drive(model)
    for _ in range(2 * (os.cpu_count() or 1) + 1):  # more often than there could be workspaces, were they lost
        with pytest.raises(BackendError) as found:
            driver(bright)
        assert str(found.value) == str(expected.value)
    assert (driver(np.zeros_like(bright)) == 0).all()


def test_logits_that_are_not_finite_are_an_error(drive: Drive, tmp_path: Path) -> None:
    content = onnx.load(write_tiny_onnx(tmp_path / "model.onnx"))
    bias = next(each for each in content.graph.initializer if each.name == "bias")
    for value in (np.nan, np.inf, -np.inf):
        values = onnx.numpy_helper.to_array(bias).copy()
        values[2] = value
        bias.CopyFrom(onnx.numpy_helper.from_array(values, "bias"))
        onnx.save(content, tmp_path / "model.onnx")
        picture = np.zeros((40, 50, 3), np.uint8)
        with pytest.raises(BackendError) as expected:
            Segmenter(tmp_path / "model.onnx", threads=1)(picture)
        with pytest.raises(BackendError, match=r"the model's logits are not finite; its numbers overflow$") as found:
            drive(tmp_path / "model.onnx")(picture)
        assert str(found.value) == str(expected.value)


def test_a_device_that_is_not_there_is_an_error_and_never_the_cpu(drive: Drive, tmp_path: Path) -> None:
    problem = drive(write_tiny_onnx(tmp_path / "model.onnx"), "--device", "cuda").problem
    assert isinstance(problem, BackendError)
    assert re.match(r"cuda is not available in this ONNX Runtime; .*choose the device cpu$", str(problem))


@pytest.mark.parametrize("name", ["model.pth", "model", "model.ONNX.txt"])
def test_files_of_unknown_endings_are_refused(drive: Drive, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    problem = drive(path).problem
    assert isinstance(problem, BackendError)
    known = "known endings: .onnx, .engine, .plan"
    assert str(problem) == f"{path}: no backend opens '{path.suffix}' files; {known}"


@pytest.mark.parametrize("ending", ["engine", "plan", "PLAN"])
def test_an_engine_says_that_tensorrt_is_not_built_in(drive: Drive, tmp_path: Path, ending: str) -> None:
    problem = drive(tmp_path / f"model.{ending}").problem
    assert isinstance(problem, BackendError)
    assert "built without TensorRT; build it with -DAFFORMER_WITH_TENSORRT=ON" in str(problem)


def test_the_library_may_be_named_and_comes_before_the_variable(
    drive: Drive, onnxruntime_library: Path, model: Callable[[str], Path]
) -> None:
    named = drive(model("bundled fp16"), "--library", str(onnxruntime_library), AFFORMER_ONNXRUNTIME="/nonsense")
    assert named.description.startswith("ONNX Runtime 1.")
    # An empty variable counts for nothing: the loader looks where it always does.
    folder = str(onnxruntime_library.parent)
    assert drive(model("bundled fp16"), AFFORMER_ONNXRUNTIME="", LD_LIBRARY_PATH=folder).problem is None


def _library(folder: Path, code: str) -> Path:
    source, path = folder / "library.c", folder / "library.so"
    source.write_text(code)
    run("cc", "-shared", "-fPIC", "-o", path, source)
    return path


TOO_OLD = """
static const char* version(void) { return "1.7.2"; }
static const void* api(unsigned version) { (void)version; return 0; }
static const struct { const void* (*api)(unsigned); const char* (*version)(void); } base = {api, version};
const void* OrtGetApiBase(void) { return &base; }
"""


def test_a_library_that_does_not_serve_is_one_clear_line(
    drive: Drive, model: Callable[[str], Path], tmp_path: Path
) -> None:
    (tmp_path / "text.so").write_text("no library")
    old, other = tmp_path / "old", tmp_path / "other"
    old.mkdir()
    other.mkdir()
    cases = {
        tmp_path / "nowhere.so": r"ONNX Runtime cannot be loaded \(.*No such file.*\); install it, or name its library",
        tmp_path / "text.so": r"ONNX Runtime cannot be loaded \(.*\); install it, or name its library",
        _library(other, "int nothing;"): r"is not ONNX Runtime, since it has no OrtGetApiBase; ",
        _library(old, TOO_OLD): r"is ONNX Runtime 1\.7\.2, but 1\.11 or newer is needed; install a newer one",
    }
    for path, text in cases.items():
        for how in (lambda p: drive(model("bundled fp16"), "--library", p), _by_variable(drive, model)):
            problem = how(str(path)).problem
            assert isinstance(problem, BackendError)
            assert re.match(rf"{re.escape(str(path))}: {text}", str(problem))
            assert "\n" not in str(problem)


def _by_variable(drive: Drive, model: Callable[[str], Path]) -> Callable[[str], Driver]:
    return lambda path: drive(model("bundled fp16"), AFFORMER_ONNXRUNTIME=path)
