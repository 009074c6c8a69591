#include "origin.hpp"

#include <cstdint>
#include <fstream>
#include <ios>
#include <system_error>

#include "text.hpp"

namespace afformer::core {

Origin Origin::file(const std::filesystem::path& path) { return {path, text_of(path), nullptr, 0}; }

Origin Origin::memory(const std::string& kind, const void* bytes, std::size_t size) {
    return {{}, "the " + kind + " in memory", bytes, size};
}

void Origin::require_there(const std::string& kind) const {
    std::error_code problem;
    if (bytes == nullptr && !std::filesystem::is_regular_file(path, problem)) {
        throw Error(ErrorCode::backend, name + ": no such " + kind + " file");
    }
}

std::string read_file(const std::filesystem::path& path, ErrorCode code, const std::string& remedy) {
    std::error_code problem;
    if (!std::filesystem::is_regular_file(path, problem)) {
        throw Error(code, text_of(path) + ": no such file" + remedy);
    }
    const std::uintmax_t size = std::filesystem::file_size(path, problem);
    std::string bytes(problem ? 0 : static_cast<std::size_t>(size), '\0');
    std::ifstream file(path, std::ios::binary);
    if (problem || !file.read(bytes.data(), static_cast<std::streamsize>(bytes.size()))) {
        throw Error(code, text_of(path) + ": cannot be read" + remedy);
    }
    return bytes;
}

}  // namespace afformer::core
