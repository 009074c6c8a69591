#include "workspace.hpp"

#include <afformer/errors.hpp>
#include <algorithm>
#include <cstring>
#include <string>

namespace afformer::core {
namespace {

// Whether none of `count` values is infinite or NaN. On the bits, since -ffast-math may compile isfinite() away.
bool all_finite(const float* values, std::size_t count) noexcept {
    constexpr std::uint32_t exponent = 0x7F800000U;
    std::uint32_t worst = 0;
    for (std::size_t i = 0; i < count; ++i) {
        std::uint32_t bits = 0;
        std::memcpy(&bits, values + i, sizeof bits);
        worst |= static_cast<std::uint32_t>((bits & exponent) == exponent);
    }
    return worst == 0;
}

}  // namespace

Workspace::Workspace(Model& model, Fit fit)
    : model_(model),
      slot_(model.make_slot()),
      prepare_(model.spec(), fit),
      prepared_(static_cast<std::size_t>(model.spec().batch)),
      row_bytes_(model.spec().input_bytes() / prepared_.size()) {}

void Workspace::segment(const ImageView* pictures, std::uint8_t* const* ids, std::size_t count) {
    run(pictures, count);
    for (std::size_t i = 0; i < count; ++i) {
        write(i, ids[i]);
    }
}

// The rows behind the pictures repeat the first, as the batch is fixed.
void Workspace::run(const ImageView* pictures, std::size_t count) {
    auto* rows = static_cast<std::uint8_t*>(slot_->input());
    for (std::size_t i = 0; i < count; ++i) {
        prepared_[i] = prepare_(pictures[i], rows + i * row_bytes_);
    }
    for (std::size_t i = count; i < prepared_.size(); ++i) {
        std::memcpy(rows + i * row_bytes_, rows, row_bytes_);
    }
    answer_ = slot_->run();
    require_sound(count);
}

void Workspace::require_sound(std::size_t count) const {
    const std::size_t length = count * values_in_row();
    if (spec().output_kind == OutputKind::logits) {
        if (!all_finite(static_cast<const float*>(answer_), length)) {
            throw Error(ErrorCode::backend,
                        model_.description() + ": the model's logits are not finite; its numbers overflow");
        }
        return;
    }
    // A tensor's shape does not tell how many classes there are, and whoever looks one up trusts the ids.
    const auto* ids = static_cast<const std::uint8_t*>(answer_);
    const int largest = *std::max_element(ids, ids + length);
    if (largest >= spec().num_classes()) {
        throw Error(ErrorCode::backend, model_.description() + ": differs from its own spec: class id " +
                                            std::to_string(largest) + ", but only " +
                                            std::to_string(spec().num_classes()) + " classes; export it again");
    }
}

// Of the model's answer to one picture.
std::size_t Workspace::values_in_row() const noexcept {
    const std::size_t bytes = spec().output_bytes() / prepared_.size();
    return spec().output_kind == OutputKind::logits ? bytes / sizeof(float) : bytes;
}

void Workspace::write(std::size_t row, std::uint8_t* ids) {
    const Prepared& picture = prepared_[row];
    if (spec().output_kind == OutputKind::logits) {
        finish_.from_logits(static_cast<const float*>(answer_) + row * values_in_row(), spec().num_classes(),
                            spec().logits_size(), picture.span_y, picture.span_x, picture.image, ids);
    } else {
        finish_.resize(static_cast<const std::uint8_t*>(answer_) + row * values_in_row(), spec().input, picture.covered,
                       picture.image, ids);
    }
}

}  // namespace afformer::core
