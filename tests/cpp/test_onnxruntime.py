"""How ONNX Runtime is opened: seen by a library that passes all on to it, but claims to have a CUDA provider."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from afformer.errors import BackendError
from afformer.spec import Precision
from tests.builders.tiny_onnx import SPEC, write_tiny_onnx
from tests.cpp.conftest import CPP, Once, run
from tests.cpp.driver import Driver

Drive = Callable[..., Driver]


@pytest.fixture
def between(once: Once, tools: None, onnxruntime_library: Path) -> Path:
    """A library between the driver and ONNX Runtime."""

    def fill(folder: Path) -> None:
        source = folder / "between.c"
        source.write_text(BETWEEN)
        header, real = CPP / "third_party" / "onnxruntime", f'-DREAL="{onnxruntime_library}"'
        run("cc", "-shared", "-fPIC", "-isystem", header, real, source, "-ldl", "-o", folder / "between.so")

    return once("between", fill) / "between.so"


def test_threads_do_not_spin_between_two_pictures(drive: Drive, between: Path, tmp_path: Path) -> None:
    entries = tmp_path / "entries"
    opened = drive(write_tiny_onnx(tmp_path / "model.onnx"), "--library", str(between), ENTRIES=str(entries))
    assert opened.problem is None
    assert {"session.force_spinning_stop=1", "session.intra_op.spin_duration_us=100"} <= set(
        entries.read_text().splitlines()
    )


def test_on_cuda_nothing_is_left_to_the_cpu_and_float32_is_float32(drive: Drive, between: Path, tmp_path: Path) -> None:
    entries, model = tmp_path / "entries", write_tiny_onnx(tmp_path / "model.onnx")
    assert drive(model, "--library", str(between), "--device", "cuda", ENTRIES=str(entries)).problem is None
    assert {"session.disable_cpu_ep_fallback=1", "use_tf32=0"} <= set(entries.read_text().splitlines())


@pytest.mark.parametrize(
    ("arguments", "device"), [((), "cpu"), (("--device", "cpu"), "cpu"), (("--device", "cuda"), "cuda")]
)
def test_a_model_runs_on_the_cpu_unless_told_otherwise(
    drive: Drive, between: Path, tmp_path: Path, arguments: tuple[str, ...], device: str
) -> None:
    opened = drive(write_tiny_onnx(tmp_path / "model.onnx"), "--library", str(between), *arguments)
    assert opened.problem is None
    assert opened.description.endswith(f", {device}, 1 threads")
    assert (opened(np.full((30, 40, 3), 255, np.uint8)) == 3).all()


def test_int8_is_not_run_on_cuda(drive: Drive, between: Path, tmp_path: Path) -> None:
    path = write_tiny_onnx(tmp_path / "model.onnx", dataclasses.replace(SPEC, precision=Precision.INT8))
    problem = drive(path, "--library", str(between), "--device", "cuda").problem
    assert isinstance(problem, BackendError)
    assert str(problem) == (
        f"{path}: is INT8, which ONNX Runtime's CUDA kernels cannot compute; build an INT8 TensorRT engine "
        "(`afformer-cli engine MODEL --precision int8`), or choose the device cpu"
    )
    assert drive(path, "--library", str(between), "--device", "cpu").problem is None


BETWEEN = r"""
#include <dlfcn.h>
#include <onnxruntime_c_api.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const OrtApi* real;
static OrtApi ours;
static OrtApiBase base;
static int nothing;

static OrtStatusPtr ORT_API_CALL entry(OrtSessionOptions* options, const char* key, const char* value) NO_EXCEPTION {
    const char* path = getenv("ENTRIES");
    FILE* file = path != NULL ? fopen(path, "a") : NULL;
    if (file != NULL) {
        fprintf(file, "%s=%s\n", key, value);
        fclose(file);
    }
    if (options == NULL || strcmp(key, "session.disable_cpu_ep_fallback") == 0) {
        return NULL; /* here the CPU pretends to be CUDA */
    }
    return real->AddSessionConfigEntry(options, key, value);
}

static OrtStatusPtr ORT_API_CALL providers(char*** names, int* count) NO_EXCEPTION {
    static char* both[] = {"CUDAExecutionProvider", "CPUExecutionProvider"};
    *names = both;
    *count = 2;
    return NULL;
}

static OrtStatusPtr ORT_API_CALL forget(char** names, int count) NO_EXCEPTION { return NULL; }

static OrtStatusPtr ORT_API_CALL cuda(OrtCUDAProviderOptionsV2** made) NO_EXCEPTION {
    *made = (OrtCUDAProviderOptionsV2*)&nothing;
    return NULL;
}

static OrtStatusPtr ORT_API_CALL update(OrtCUDAProviderOptionsV2* of, const char* const* keys,
                                        const char* const* values, size_t count) NO_EXCEPTION {
    return count == 1 ? entry(NULL, keys[0], values[0]) : NULL;
}

static OrtStatusPtr ORT_API_CALL append(OrtSessionOptions* to, const OrtCUDAProviderOptionsV2* of) NO_EXCEPTION {
    return NULL;
}

static void ORT_API_CALL release(OrtCUDAProviderOptionsV2* made) NO_EXCEPTION {}

static const OrtApi* ORT_API_CALL api(uint32_t version) NO_EXCEPTION {
    return version <= ORT_API_VERSION ? &ours : NULL;
}

const OrtApiBase* ORT_API_CALL OrtGetApiBase(void) NO_EXCEPTION {
    const OrtApiBase* (*get)(void) = (const OrtApiBase* (*)(void))dlsym(dlopen(REAL, RTLD_NOW), "OrtGetApiBase");
    real = get()->GetApi(ORT_API_VERSION);
    ours = *real;
    ours.AddSessionConfigEntry = entry;
    ours.GetAvailableProviders = providers;
    ours.ReleaseAvailableProviders = forget;
    ours.CreateCUDAProviderOptions = cuda;
    ours.UpdateCUDAProviderOptions = update;
    ours.SessionOptionsAppendExecutionProvider_CUDA_V2 = append;
    ours.ReleaseCUDAProviderOptions = release;
    base = *get();
    base.GetApi = api;
    return &base;
}
"""
