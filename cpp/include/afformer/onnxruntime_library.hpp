// ONNX Runtime's C interface: linked, or loaded at run time.
//
// The C interface is one table of functions that only ever grows at its end. A program asks for the version of the
// table that it was written for, and gets it from every library of that version or a newer one. The C++ wrapper of ONNX
// Runtime is not used, since it keeps that table in a global that it would share with the program it is embedded in.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>

#include <onnxruntime_c_api.h>

#if !defined(AFFORMER_LINK_ONNXRUNTIME)
#if defined(_WIN32)
#if !defined(NOMINMAX)
#define NOMINMAX
#endif
#if !defined(WIN32_LEAN_AND_MEAN)
#define WIN32_LEAN_AND_MEAN
#endif
#include <windows.h>
#else
#include <dlfcn.h>
#endif
#endif

#include "errors.hpp"

namespace afformer::detail {

// Every function that is called here is in the table of ONNX Runtime 1.11; the last that came are the CUDA options.
inline constexpr std::uint32_t ort_api_version = 11;
static_assert(ORT_API_VERSION >= ort_api_version, "the header is that of an ONNX Runtime older than 1.11");

inline constexpr const char* ort_library_variable = "AFFORMER_ONNXRUNTIME";

struct OnnxRuntime {
    const OrtApi* api;
    std::string version;
};

inline OnnxRuntime checked_onnxruntime(const OrtApiBase* base, const std::string& where) {
    const std::string version = base->GetVersionString();
    const OrtApi* api = base->GetApi(ort_api_version);
    if (api == nullptr) {
        throw Error(ErrorCode::backend, where + ": is ONNX Runtime " + version + ", but 1." +
                                            std::to_string(ort_api_version) +
                                            " or newer is needed; install a newer one");
    }
    return {api, version};
}

#if defined(AFFORMER_LINK_ONNXRUNTIME)

inline OnnxRuntime find_onnxruntime(const std::filesystem::path& library) {
    if (!library.empty()) {
        throw Error(ErrorCode::backend,
                    library.string() +
                        ": cannot be loaded, because this program is linked with ONNX Runtime; leave "
                        "Options.library empty, or build without AFFORMER_LINK_ONNXRUNTIME");
    }
    return checked_onnxruntime(OrtGetApiBase(), "the linked ONNX Runtime");
}

#else

#if defined(_WIN32)
inline constexpr const char* ort_default_library = "onnxruntime.dll";

struct CloseLibrary {
    void operator()(void* handle) const noexcept { FreeLibrary(static_cast<HMODULE>(handle)); }
};

inline void* load_library(const std::filesystem::path& path, std::string& problem) {
    void* handle = LoadLibraryW(path.c_str());
    problem = handle != nullptr ? "" : "Windows error " + std::to_string(GetLastError());
    return handle;
}

inline void* library_symbol(void* handle, const char* name) {
    return reinterpret_cast<void*>(GetProcAddress(static_cast<HMODULE>(handle), name));
}
#else
#if defined(__APPLE__)
inline constexpr const char* ort_default_library = "libonnxruntime.dylib";
#else
inline constexpr const char* ort_default_library = "libonnxruntime.so.1";
#endif

struct CloseLibrary {
    void operator()(void* handle) const noexcept { dlclose(handle); }
};

inline void* load_library(const std::filesystem::path& path, std::string& problem) {
    void* handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    const char* text = handle != nullptr ? nullptr : dlerror();
    problem = text != nullptr ? text : "";
    return handle;
}

inline void* library_symbol(void* handle, const char* name) { return dlsym(handle, name); }
#endif

inline std::filesystem::path chosen_library(const std::filesystem::path& library) {
    if (!library.empty()) {
        return library;
    }
    const char* variable = std::getenv(ort_library_variable);
    return variable != nullptr && *variable != '\0' ? variable : ort_default_library;
}

inline OnnxRuntime find_onnxruntime(const std::filesystem::path& library) {
    const std::filesystem::path path = chosen_library(library);
    std::string problem;
    std::unique_ptr<void, CloseLibrary> handle(load_library(path, problem));
    if (handle == nullptr) {
        throw Error(ErrorCode::backend, path.string() + ": ONNX Runtime cannot be loaded (" + problem +
                                            "); install it, or name its library with Options.library or " +
                                            ort_library_variable);
    }
    void* symbol = library_symbol(handle.get(), "OrtGetApiBase");
    if (symbol == nullptr) {
        throw Error(ErrorCode::backend, path.string() + ": is no ONNX Runtime, since it has no OrtGetApiBase; name " +
                                            ort_default_library + " with Options.library or " + ort_library_variable);
    }
    const auto get_base = reinterpret_cast<const OrtApiBase*(ORT_API_CALL*)()>(symbol);
    OnnxRuntime found = checked_onnxruntime(get_base(), path.string());
    // Stays loaded for as long as the process lives: its threads and its own clean-up at exit outlive every model.
    static_cast<void>(handle.release());
    return found;
}

#endif

}  // namespace afformer::detail
