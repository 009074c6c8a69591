// The small interface behind which every backend lives.
#pragma once

#include <afformer/spec.hpp>
#include <cstddef>
#include <memory>
#include <string>

namespace afformer::core {

// The tensors that one run of a model reads and writes, allocated and bound once. Serves one thread at a time.
class Slot {
public:
    Slot() = default;
    Slot(const Slot&) = delete;
    Slot& operator=(const Slot&) = delete;
    virtual ~Slot() = default;

    // The tensor that `spec().input_kind` describes, to be filled before `run`: `(n, 3, H, W)` float or `(n, H, W, 3)`
    // uint8.
    [[nodiscard]] virtual void* input() noexcept = 0;
    // Runs the model once. Returns the tensor that `spec().output_kind` describes, `(n, C, h, w)` float or `(n, H, W)`
    // uint8, valid until the next call. Throws Error(backend).
    virtual const void* run() = 0;
};

// One loaded model on one backend. Any number of threads may use it at once, each with a slot of its own.
class Model {
public:
    Model() = default;
    Model(const Model&) = delete;
    Model& operator=(const Model&) = delete;
    virtual ~Model() = default;

    // What the model says about itself.
    [[nodiscard]] virtual const ModelSpec& spec() const noexcept = 0;
    // Backend, version and device, for people.
    [[nodiscard]] virtual const std::string& description() const noexcept = 0;

    // How many slots are worth running at once.
    [[nodiscard]] virtual std::size_t most_slots() const noexcept = 0;
    // Must not outlive the model. Throws Error(backend).
    [[nodiscard]] virtual std::unique_ptr<Slot> make_slot() = 0;
};

}  // namespace afformer::core
