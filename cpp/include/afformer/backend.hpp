// The small interface behind which every engine lives.
#pragma once

#include <string>

#include "spec.hpp"

namespace afformer {

enum class Device { cpu, cuda };

// One loaded model on one engine, with the buffers it reads and writes: allocated and bound once, at the start. Serves
// one thread.
class Backend {
public:
    Backend() = default;
    Backend(const Backend&) = delete;
    Backend& operator=(const Backend&) = delete;
    virtual ~Backend() = default;

    // What the model says of itself.
    [[nodiscard]] virtual const ModelSpec& spec() const noexcept = 0;
    // Engine, version and device, for people.
    [[nodiscard]] virtual const std::string& description() const noexcept = 0;

    // The tensor that `spec().input_kind` describes, to be filled before `run`: `(n, 3, H, W)` float or `(n, H, W, 3)`
    // uint8.
    [[nodiscard]] virtual void* input() noexcept = 0;
    // Runs the model once. Returns the tensor that `spec().output_kind` describes, `(n, C, h, w)` float or `(n, H, W)`
    // uint8, valid until the next call. Throws Error(backend).
    virtual const void* run() = 0;
};

}  // namespace afformer
