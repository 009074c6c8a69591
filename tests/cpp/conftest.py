"""The C++ runtime, built once a test run, and what its tests need to run it."""

from __future__ import annotations

import fcntl
import importlib.util
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cpp.driver import Driver
from tests.cpp.probe import Probe

CPP = Path(__file__).parents[2] / "cpp"
MODEST = (
    "-DAFFORMER_WERROR=ON",
    "-DCMAKE_BUILD_TYPE=Release",
    "-DCMAKE_CXX_FLAGS_RELEASE=-O1",
    "-DCMAKE_C_FLAGS_RELEASE=-O1",
)
"""Compiling takes longer than running here."""

PROGRAMS_ALONE = ("-DAFFORMER_BUILD_TESTS=ON", "-DAFFORMER_BUILD_SHARED=OFF", "-DAFFORMER_BUILD_EXAMPLES=OFF")
"""The programs that the tests drive, each with the library inside."""

WARNINGS = ("-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror")
AS_ON_WINDOWS = ("-Dnear=", "-Dfar=")
"""<windows.h> makes macros of these words, which leave nothing of the code that uses them as names."""

STRICT_C = ("-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic")

ARM = "aarch64-linux-gnu-"
EMULATOR = "qemu-aarch64"

Once = Callable[[str, Callable[[Path], object]], Path]


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Once:
    """Makes a folder's content once for all workers of a test run."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def make(name: str, fill: Callable[[Path], object]) -> Path:
        folder, done = shared / f"cpp-{name}", shared / f"cpp-{name}.done"
        with _locked(shared / f"cpp-{name}.lock"):
            if not done.exists():
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                fill(folder)
                done.touch()
        return folder

    return make


@pytest.fixture(scope="session")
def onnxruntime_library(once: Once) -> Path:
    """The library inside the Python package, under the names that a linker and a loader look for."""
    found = importlib.util.find_spec("onnxruntime")
    assert found
    assert found.origin
    libraries = sorted((Path(found.origin).parent / "capi").glob("libonnxruntime.so.1.*"))
    if not libraries:
        pytest.skip("this build of the Python package onnxruntime brings no libonnxruntime.so")

    def link(folder: Path) -> None:
        (folder / "libonnxruntime.so.1").symlink_to(libraries[-1])
        (folder / "libonnxruntime.so").symlink_to("libonnxruntime.so.1")

    return once("onnxruntime", link) / "libonnxruntime.so.1"


@pytest.fixture(scope="session")
def tools() -> None:
    """Skips where nothing can be built."""
    missing = [tool for tool in ("cmake", "ninja", "c++", "cc") if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"building the C++ runtime takes {', '.join(missing)}, not installed here")


@pytest.fixture(scope="session")
def built(once: Once, tools: None) -> Path:
    """The build folder: library, examples and the programs that the tests drive."""
    return once("build", lambda folder: build(CPP, folder, *MODEST, "-DAFFORMER_BUILD_TESTS=ON"))


@pytest.fixture(scope="session")
def sanitized(once: Once, tools: None) -> Path:
    """The folder of driver and probe, with sanitizers. TensorRT and CUDA are stand-ins, ONNX Runtime is real."""

    def fill(folder: Path) -> None:
        strict = f"-DCMAKE_CXX_FLAGS={' '.join((*WARNINGS, *AS_ON_WINDOWS))}"
        build(
            CPP, folder, *checked_by("address,undefined", folder), strict, targets=("afformer-driver", "afformer-probe")
        )

    return once("sanitized", fill) / "tests"


def checked_by(sanitizers: str, folder: Path) -> tuple[str, ...]:
    """Flags for a build with sanitizers and the stand-ins for NVIDIA's libraries."""
    nothing = folder / "libnothing.a"  # the stand-ins are headers
    nothing.write_bytes(b"!<arch>\n")
    fakes = CPP / "tests" / "fake_nvidia"
    return (
        *(*MODEST, "-DCMAKE_CXX_FLAGS_RELEASE=-O0", f"-DAFFORMER_SANITIZE={sanitizers}", *PROGRAMS_ALONE),
        "-DAFFORMER_WITH_TENSORRT=ON",
        *(f"-DTENSORRT_{name}INCLUDE_DIR={fakes}" for name in ("", "CUDART_")),
        *(f"-DTENSORRT_{name}LIBRARY={nothing}" for name in ("", "CUDART_")),
    )


@pytest.fixture(scope="session")
def probe(sanitized: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Probe]:
    """The probe with sanitizers, running until the test run's end."""
    running = Probe([sanitized / "afformer-probe"], tmp_path_factory.mktemp("probe") / "errors.txt")
    yield running
    running.close()


@pytest.fixture(scope="session")
def arm_probe(once: Once, tools: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Probe]:
    """The probe on an emulated 64-bit ARM processor."""
    missing = [tool for tool in (f"{ARM}gcc", f"{ARM}g++", EMULATOR) if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"NEON is tested with g++-aarch64-linux-gnu and qemu-user; {', '.join(missing)} is not installed")
    folder = once("arm", _build_for_arm)
    command: list[str | Path] = [EMULATOR, folder / "tests" / "afformer-probe"]
    running = Probe(command, tmp_path_factory.mktemp("arm") / "errors.txt")
    yield running
    running.close()


def _build_for_arm(folder: Path) -> None:
    system = ("-DCMAKE_SYSTEM_NAME=Linux", "-DCMAKE_SYSTEM_PROCESSOR=aarch64")
    compilers = (f"-DCMAKE_C_COMPILER={ARM}gcc", f"-DCMAKE_CXX_COMPILER={ARM}g++", "-DCMAKE_EXE_LINKER_FLAGS=-static")
    build(CPP, folder, *MODEST, *system, *compilers, *PROGRAMS_ALONE, targets=("afformer-probe",))


@pytest.fixture
def drive(built: Path, onnxruntime_library: Path) -> Iterator[Callable[..., Driver]]:
    """Opens a model in the driver: `drive(model, "--fit", "pad")`."""
    drivers: list[Driver] = []

    def start(model: Path, *arguments: str, program: Path | None = None, **variables: str) -> Driver:
        variables = {"AFFORMER_ONNXRUNTIME": str(onnxruntime_library), **variables}
        program = program or built / "tests" / "afformer-driver"
        drivers.append(Driver([program, model, "--threads", "1", *arguments], {**os.environ, **variables}))
        return drivers[-1]

    yield start
    for driver in drivers:
        driver.close()


@pytest.fixture
def start(sanitized: Path) -> Iterator[Callable[..., Driver]]:
    """Opens an engine in the driver, which must have freed all it had when it ends."""
    drivers: list[Driver] = []

    def opened(engine: Path, *arguments: str, **variables: str) -> Driver:
        environment = {**os.environ, **{f"AFFORMER_FAKE_{name.upper()}": value for name, value in variables.items()}}
        drivers.append(Driver([sanitized / "afformer-driver", engine, *arguments], environment))
        return drivers[-1]

    yield opened
    for driver in drivers:
        assert driver.close() == ""


def build(source: Path, folder: Path, *flags: str, targets: Sequence[str] = ("all",)) -> None:
    """Configures and compiles; a failure shows what the compiler said."""
    run("cmake", "-S", source, "-B", folder, "-G", "Ninja", *flags)
    run("cmake", "--build", folder, "--target", *targets, "-j", "2")


def run(*command: str | Path, **variables: str) -> str:
    """Runs a command, which must succeed and leave standard error empty, and returns what it printed."""
    done = subprocess.run(
        list(map(str, command)), env={**os.environ, **variables}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{done.stdout[-6000:]}\n{done.stderr[-6000:]}"
    return done.stdout


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
