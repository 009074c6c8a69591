#include "shared_library.hpp"

#if defined(_WIN32)
#define NOMINMAX
#define WIN32_LEAN_AND_MEAN
#include <windows.h>
#else
#include <dlfcn.h>
#endif

namespace afformer::core {

#if defined(_WIN32)

void* load_library(const std::filesystem::path& path, std::string& problem) {
    void* library = LoadLibraryW(path.c_str());
    problem = library != nullptr ? "" : "Windows error " + std::to_string(GetLastError());
    return library;
}

void* library_symbol(void* library, const char* name) noexcept {
    return reinterpret_cast<void*>(GetProcAddress(static_cast<HMODULE>(library), name));
}

#else

void* load_library(const std::filesystem::path& path, std::string& problem) {
    void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    const char* text = library != nullptr ? nullptr : dlerror();
    problem = text != nullptr ? text : "";
    return library;
}

void* library_symbol(void* library, const char* name) noexcept { return dlsym(library, name); }

#endif

}  // namespace afformer::core
