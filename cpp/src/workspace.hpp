// What one thread needs to segment pictures: a slot of the model, and the work arrays before and after it.
#pragma once

#include <afformer/image.hpp>
#include <afformer/options.hpp>
#include <afformer/spec.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "model.hpp"
#include "postprocess.hpp"
#include "preprocess.hpp"

namespace afformer::core {

// Serves one thread at a time, and must not outlive the model. Allocates nothing as long as pictures are of one size.
class Workspace {
public:
    Workspace(Model& model, Fit fit);

    // Writes the class maps of `count` pictures, at most a batch, each at its own size. Throws Error(backend) if the
    // run fails; then nothing is written.
    void segment(const ImageView* pictures, std::uint8_t* const* ids, std::size_t count);

private:
    void run(const ImageView* pictures, std::size_t count);
    void require_sound(std::size_t count) const;
    void write(std::size_t row, std::uint8_t* ids);
    [[nodiscard]] const ModelSpec& spec() const noexcept { return model_.spec(); }
    [[nodiscard]] std::size_t values_in_row() const noexcept;

    const Model& model_;
    std::unique_ptr<Slot> slot_;
    Preprocessor prepare_;
    Postprocessor finish_;
    std::vector<Prepared> prepared_;  // one for each row of the batch
    std::size_t row_bytes_;           // of the input
    const void* answer_ = nullptr;    // of the model, to the pictures at hand
};

}  // namespace afformer::core
