// What goes wrong, as one exception type with the status codes of the C interface.
#pragma once

#include <stdexcept>
#include <string>

#include "afformer.h"

namespace afformer {

enum class ErrorCode {
    invalid_argument = AFFORMER_INVALID_ARGUMENT,  // a null pointer, a negative size, an `out` of another shape
    image = AFFORMER_IMAGE,                        // a picture that cannot be used
    spec = AFFORMER_SPEC,                          // a model without a readable spec
    backend = AFFORMER_BACKEND,                    // the backend, its library or its device
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
