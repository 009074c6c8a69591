// What goes wrong, as one exception type whose code the C API passes on.
#pragma once

#include <stdexcept>
#include <string>

namespace afformer {

enum class ErrorCode {
    invalid_argument = 1,  // a null pointer, a negative size, an `out` of another shape
    image = 2,             // no picture, or one that cannot be used
    spec = 3,              // a model without a readable spec
    backend = 4,           // the engine, its library or its device
};

// One clear line: what, where, expected, remedy.
class Error : public std::runtime_error {
public:
    Error(ErrorCode code, const std::string& message) : std::runtime_error(message), code_(code) {}

    [[nodiscard]] ErrorCode code() const noexcept { return code_; }

private:
    ErrorCode code_;
};

}  // namespace afformer
