// Libraries that are loaded at run time, on every system.
#pragma once

#include <filesystem>
#include <string>

namespace afformer::core {

// Loads a library for as long as the process lives. Returns null and sets `problem` if that fails.
[[nodiscard]] void* load_library(const std::filesystem::path& path, std::string& problem);

// Null if the library has nothing of this name.
[[nodiscard]] void* library_symbol(void* library, const char* name) noexcept;

}  // namespace afformer::core
