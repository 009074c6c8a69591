// ONNX Runtime's C interface: linked, or loaded at run time.
//
// The C interface is one table of functions that only ever grows at its end. A program asks for the version of the
// table that it was written for, and gets it from every library of that version or a newer one. The C++ wrapper of ONNX
// Runtime is not used, since it keeps that table in a global that it would share with the program it is embedded in.
#pragma once

#include <onnxruntime_c_api.h>

#include <cstdint>
#include <filesystem>
#include <string>

namespace afformer::core {

// Every function that is called here is in the table of ONNX Runtime 1.11; the last that came are the CUDA options.
inline constexpr std::uint32_t ort_api_version = 11;
static_assert(ORT_API_VERSION >= ort_api_version, "the header is that of an ONNX Runtime older than 1.11");

struct OnnxRuntime {
    const OrtApi* api;
    std::string version;
};

// The ONNX Runtime at `library`; if that is empty, where the environment says, or the system's. It stays loaded for as
// long as the process lives. Throws Error(backend) if there is none, or one that is too old.
[[nodiscard]] OnnxRuntime find_onnxruntime(const std::filesystem::path& library);

}  // namespace afformer::core
