// Where a model comes from.
#pragma once

#include <afformer/errors.hpp>
#include <cstddef>
#include <filesystem>
#include <string>

namespace afformer::core {

// A file, or bytes in the caller's memory, which are only read while the model is opened.
struct Origin {
    std::filesystem::path path;   // empty if the model is in memory
    std::string name;             // in errors
    const void* bytes = nullptr;  // null if the model is a file
    std::size_t size = 0;

    [[nodiscard]] static Origin file(const std::filesystem::path& path);
    // `kind`: "model" or "engine".
    [[nodiscard]] static Origin memory(const std::string& kind, const void* bytes, std::size_t size);

    // `kind` as in `memory`. Throws Error(backend) if the model is a file that does not exist.
    void require_there(const std::string& kind) const;
};

// `remedy` ends the error, whose code is `code`.
[[nodiscard]] std::string read_file(const std::filesystem::path& path, ErrorCode code, const std::string& remedy);

}  // namespace afformer::core
