// What a model says about itself: in the metadata of an ONNX file, or in the JSON beside an engine.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "image.hpp"

namespace afformer {

enum class InputKind {
    float32,  // `(n, 3, H, W)` float in the model's channel order, normalised with mean and std
    uint8,    // `(n, H, W, 3)` uint8 in the model's channel order; the normalisation is in the graph
};

enum class OutputKind {
    logits,    // `(n, classes, ceil(H/8), ceil(W/8))` float
    classmap,  // `(n, H, W)` uint8 class ids at the input size
};

struct ModelSpec {
    std::string variant;  // tiny, small or base
    Size input;
    std::vector<std::string> classes;                  // the index is the class id
    std::vector<std::array<std::uint8_t, 3>> palette;  // one RGB colour a class
    std::string dataset;
    int batch = 1;  // pictures per call
    InputKind input_kind = InputKind::float32;
    OutputKind output_kind = OutputKind::logits;
    std::string precision;                      // fp32, fp16 or int8, inside the model
    std::array<double, 3> mean{};               // in the model's channel order, 0..255 scale
    std::array<double, 3> std{};                // in the model's channel order, 0..255 scale
    ColorOrder color_order = ColorOrder::rgb;  // of the model's channels; pictures of the other order are turned
    std::string checkpoint_sha256;
    std::string json;  // the text it came from

    [[nodiscard]] int num_classes() const noexcept { return static_cast<int>(classes.size()); }

    // A stem and two stages halve the sizes, odd ones rounded up.
    [[nodiscard]] Size logits_size() const noexcept { return {(input.height + 7) / 8, (input.width + 7) / 8}; }

    // Bytes of the input tensor of a whole batch.
    [[nodiscard]] std::size_t input_bytes() const noexcept {
        return elements(input) * 3 * (input_kind == InputKind::float32 ? sizeof(float) : 1);
    }

    // Bytes of the output tensor of a whole batch.
    [[nodiscard]] std::size_t output_bytes() const noexcept {
        return output_kind == OutputKind::classmap ? elements(input)
                                                   : elements(logits_size()) * classes.size() * sizeof(float);
    }

private:
    [[nodiscard]] std::size_t elements(Size size) const noexcept {
        return static_cast<std::size_t>(batch) * static_cast<std::size_t>(size.height) *
               static_cast<std::size_t>(size.width);
    }
};

}  // namespace afformer
