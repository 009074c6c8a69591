"""The library as another project finds it, and the example programs."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

import afformer
from afformer import assets
from afformer.images import read_image
from afformer.runtime import Segmenter
from tests.cpp.conftest import AS_ON_WINDOWS, CPP, STRICT_C, WARNINGS, Once, build, run

Started = Callable[..., "subprocess.CompletedProcess[str]"]

CONSUMER = CPP / "examples" / "consumer"
HASTY = ("-DCMAKE_BUILD_TYPE=Release", "-DCMAKE_CXX_FLAGS_RELEASE=-O0")
"""It segments a single picture."""


@pytest.fixture(scope="module")
def installed(once: Once, built: Path) -> Path:
    return once("installed", lambda folder: run("cmake", "--install", built, "--prefix", folder))


@pytest.fixture(scope="module", params=["afformer::afformer", "afformer::static"])
def consumer(once: Once, installed: Path, request: pytest.FixtureRequest) -> Path:
    """A project of its own that knows nothing but where the library was installed, and in which form it wants it."""

    def fill(folder: Path) -> None:
        where = (f"-DCMAKE_PREFIX_PATH={installed}", f"-DAFFORMER_TARGET={request.param}")
        build(CONSUMER, folder, *HASTY, *where, "-DCMAKE_CXX_FLAGS=-Wall -Wextra -Werror")

    return once(f"consumer-{request.param.rpartition(':')[2]}", fill) / "consumer"


def assert_segments(program: Path, onnxruntime_library: Path) -> None:
    """The example `consumer` says what Python says."""
    printed = run(program, assets.MODEL, AFFORMER_ONNXRUNTIME=str(onnxruntime_library))
    with Segmenter(assets.MODEL) as segment:
        grey = segment(np.full((480, 640, 3), 128, np.uint8))
        assert printed.strip().endswith(f"threads: {segment.spec.classes[grey[240, 320]]}")


def test_a_project_finds_the_installed_library_and_segments(consumer: Path, onnxruntime_library: Path) -> None:
    assert_segments(consumer, onnxruntime_library)
    needs_it = "libafformer.so" in run("readelf", "-d", consumer)
    assert needs_it == ("static" not in consumer.parent.name)


def test_the_lines_of_the_readme_compile_programs_without_cmake(
    installed: Path, onnxruntime_library: Path, tmp_path: Path
) -> None:
    shutil.copy(CONSUMER / "main.cpp", tmp_path / "program.cpp")
    shutil.copy(CPP / "examples" / "segment.c", tmp_path / "program.c")
    (tmp_path / "cpp").symlink_to(CPP)
    text = (CPP / "README.md").read_text().replace("\\\n", "").replace("/where/you/like", str(installed))
    lines = re.findall(r"^((?:g\+\+|cc) .*)", text, re.MULTILINE)
    assert [line.split()[0] for line in lines] == ["g++", "g++", "g++", "cc"]
    for line in lines:
        done = subprocess.run(["sh", "-c", line.replace("-O3", "-O0")], cwd=tmp_path, check=False)
        assert done.returncode == 0, line
        if line.startswith("g++"):
            assert_segments(tmp_path / "program", onnxruntime_library)
        (tmp_path / "program").unlink()


def test_the_program_of_the_docs_is_the_example_that_is_built() -> None:
    page = (CPP.parent / "docs" / "cpp.md").read_text()
    for language, file in (("cpp", "main.cpp"), ("cmake", "CMakeLists.txt")):
        (printed,) = re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)
        assert printed == (CONSUMER / file).read_text()


def test_a_users_file_compiles_none_of_what_is_inside(tools: None, tmp_path: Path) -> None:
    """Which is why it compiles fast: a JSON parser alone takes seconds."""
    (tmp_path / "user.cpp").write_text(
        '#include <afformer/afformer.hpp>\nint main() { afformer::Segmenter("m.onnx"); }'
    )
    for standard in ("c++17", "c++20"):
        flags = (f"-std={standard}", *WARNINGS, *AS_ON_WINDOWS, "-I", CPP / "include", tmp_path / "user.cpp")
        run("c++", "-fsyntax-only", *flags)
        included = run("c++", "-M", *flags).replace("\\\n", " ").split()
        ours = {Path(path).name for path in included if str(CPP) in path}
        assert ours == {path.name for path in (CPP / "include" / "afformer").iterdir()} - {"opencv.hpp"}
        assert not [path for path in included if re.search("json|onnxruntime|windows|NvInfer|cuda", Path(path).name)]


def test_a_project_gets_one_clear_line_without_onnx_runtime(consumer: Path, tmp_path: Path) -> None:
    nowhere = {"AFFORMER_ONNXRUNTIME": str(tmp_path)}
    done = subprocess.run([consumer, assets.MODEL], env=nowhere, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert re.fullmatch(rf"{re.escape(str(tmp_path))}: ONNX Runtime cannot be loaded .*\n", done.stderr)


def test_the_c_library_serves_c_programs(installed: Path, onnxruntime_library: Path, tmp_path: Path) -> None:
    program, picture = tmp_path / "program", tmp_path / "grey.ppm"
    lib = next(path.parent for path in installed.rglob("libafformer.so"))
    source, where = CPP / "examples" / "segment.c", (f"-I{installed / 'include'}", f"-L{lib}", f"-Wl,-rpath,{lib}")
    run("cc", *STRICT_C, source, *where, "-lafformer", "-o", program)
    picture.write_bytes(b"P6 64 48 255\n" + bytes([128]) * (64 * 48 * 3))
    printed = run(program, assets.MODEL, picture, AFFORMER_ONNXRUNTIME=str(onnxruntime_library))
    assert len(re.findall(r"^ *\d+\.\d\d %  ", printed, re.MULTILINE)) == 11


def test_nothing_but_the_c_interface_leaves_the_library(installed: Path) -> None:
    lib = next(path.parent for path in installed.rglob("libafformer.so"))
    symbols = run("nm", "-D", "--defined-only", lib / "libafformer.so").splitlines()
    header = (installed / "include" / "afformer" / "afformer.h").read_text()
    assert {name for *_, name in map(str.split, symbols) if "afformer" in name or "nlohmann" in name} == set(
        re.findall(r"^AFFORMER_API .*?(afformer_\w+)\(", header, re.MULTILINE)
    )
    assert {path.name for path in (installed / "share" / "doc" / "afformer").rglob("LICENSE*")} == {
        "LICENSE",
        "LICENSE.MIT",
    }


def test_onnx_runtime_can_be_linked(once: Once, tools: None, onnxruntime_library: Path, tmp_path: Path) -> None:
    def fill(folder: Path) -> None:
        flags = (*HASTY, "-DAFFORMER_LINK_ONNXRUNTIME=ON", "-DAFFORMER_BUILD_EXAMPLES=OFF")
        root = f"-DONNXRUNTIME_ROOT={onnxruntime_library.parent}"
        build(CPP, folder / "library", *flags, root)
        run("cmake", "--install", folder / "library", "--prefix", folder / "prefix")
        build(CONSUMER, folder / "consumer", *HASTY, f"-DCMAKE_PREFIX_PATH={folder / 'prefix'}", root)

    folder = once("linked", fill)
    program = folder / "consumer" / "consumer"
    # No library is looked for at run time.
    assert "ONNX Runtime 1." in run(program, assets.MODEL, AFFORMER_ONNXRUNTIME="/nonsense")
    installed = next((folder / "prefix").glob("lib*/libafformer.so"))
    assert "libonnxruntime.so.1" in run("readelf", "-d", installed)
    command = ("-c", "import ctypes, sys; ctypes.CDLL(sys.argv[1]).afformer_version", str(installed))
    run(sys.executable, *command)  # it finds ONNX Runtime where it was linked with it


def test_linking_without_the_library_says_what_to_give(tools: None, tmp_path: Path) -> None:
    done = subprocess.run(
        ["cmake", "-S", CPP, "-B", tmp_path, "-DAFFORMER_LINK_ONNXRUNTIME=ON", "-DCMAKE_FIND_ROOT_PATH=/nonsense"],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 0:
        pytest.skip("the system has ONNX Runtime")
    assert "give -DONNXRUNTIME_ROOT=FOLDER, or leave AFFORMER_LINK_ONNXRUNTIME off" in " ".join(done.stderr.split())


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    """The folder as packages have it."""
    return shutil.copytree(CPP, tmp_path / "cpp", ignore=shutil.ignore_patterns("tests"))


def test_a_copy_without_the_tests_is_whole(packed: Path, tools: None, tmp_path: Path) -> None:
    run("cmake", "-S", packed, "-B", tmp_path / "build", "-G", "Ninja")
    targets = run("ninja", "-C", tmp_path / "build", "-t", "targets", "all")
    made = {target.partition(":")[0] for target in targets.splitlines()}
    assert made >= {"libafformer.so", "examples/afformer-image", "examples/afformer-segment-c"}


def test_a_copy_without_the_tests_says_that_it_cannot_build_them(packed: Path, tools: None, tmp_path: Path) -> None:
    done = subprocess.run(
        ["cmake", "-S", packed, "-B", tmp_path / "build", "-DAFFORMER_BUILD_TESTS=ON"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "cpp/tests is not there, since packages leave it out; switch the option off" in " ".join(done.stderr.split())


def test_the_version_is_the_packages(installed: Path) -> None:
    header = (CPP / "include" / "afformer" / "afformer.h").read_text()
    assert f'#define AFFORMER_VERSION "{afformer.__version__}"' in header
    version = next(installed.rglob("afformer-config-version.cmake")).read_text()
    assert f'set(PACKAGE_VERSION "{afformer.__version__}")' in version


@pytest.fixture
def image(built: Path, onnxruntime_library: Path) -> Started:
    def start(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [built / "examples" / "afformer-image", *arguments],
            env={"AFFORMER_ONNXRUNTIME": str(onnxruntime_library)},
            capture_output=True,
            text=True,
            check=False,
        )

    return start


def test_the_example_image_writes_a_mask_and_an_overlay(image: Started, tmp_path: Path) -> None:
    mask, overlay, photo = (tmp_path / f"{name}.png" for name in ("mask", "overlay", "photo"))
    picture = read_image(assets.pictures()[1])
    cv2.imwrite(str(photo), picture[..., ::-1])  # no JPEG, which two decoders read a little differently
    done = image(assets.MODEL, photo, mask, overlay)
    assert (done.returncode, done.stderr) == (0, "")
    with Segmenter(assets.MODEL) as segment:
        colours = np.array(segment.spec.palette, np.uint8)[segment(picture)]
        assert all(name in done.stdout for name in segment.spec.classes)
    same = (read_image(mask) == colours).all(axis=-1)
    assert same.mean() >= 0.9999
    assert np.abs(read_image(overlay) - (picture.astype(int) + colours) / 2)[same].max() <= 0.5


def test_the_example_image_says_what_it_cannot_read(image: Started, tmp_path: Path) -> None:
    for arguments, text in (
        ((tmp_path / "no.onnx", assets.pictures()[0]), "no.onnx: no such model file\n"),
        ((assets.MODEL, tmp_path / "no.jpg"), "no.jpg: cannot be read: "),
        ((assets.MODEL, assets.MODEL), "cannot be read: "),
        ((assets.MODEL, assets.pictures()[0], tmp_path / "no" / "mask.png"), "mask.png: cannot be written\n"),
    ):
        done = image(*arguments)
        assert done.returncode == 1
        assert text in done.stderr
    assert image().returncode == 2
