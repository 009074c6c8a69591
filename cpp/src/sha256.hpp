// SHA-256 (FIPS 180-4), for telling files apart.
#pragma once

#include <cstddef>
#include <string>

namespace afformer::core {

// Hex digest of `count` bytes, in lower case.
[[nodiscard]] std::string sha256(const void* bytes, std::size_t count);

}  // namespace afformer::core
