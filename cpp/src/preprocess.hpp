// From a picture to the model's input tensor, as in training: bilinear on the bytes, then normalised.
#pragma once

#include <afformer/image.hpp>
#include <afformer/options.hpp>
#include <afformer/spec.hpp>
#include <array>
#include <cstddef>
#include <cstdint>

#include "resize.hpp"

namespace afformer::core {

// Where in the model's answer a prepared picture lies.
struct Prepared {
    Size image;         // of the original picture, in pixels
    Size covered;       // part of the input that the picture covers, from the top left corner, in input pixels
    double span_y = 0;  // rows of the logit grid that the picture covers, in (fractional) cells
    double span_x = 0;  // columns of it
};

// Makes the model's input of whole pictures. Allocates nothing as long as they are of one size. Serves one thread.
class Preprocessor {
public:
    Preprocessor(const ModelSpec& spec, Fit fit, const ResizeKernels& kernels = native_kernels);

    // Writes one picture's `(3, H, W)` float or `(H, W, 3)` uint8 to `tensor`: all of it, the padding included.
    Prepared operator()(const ImageView& image, void* tensor);

private:
    void fill_table(std::size_t channel, double mean, double std);
    [[nodiscard]] Size inside(Size image) const;
    void write(const std::uint8_t* row, int step, ColorOrder order, int y, int width, void* tensor) const;
    void write_floats(const std::uint8_t* row, int step, ColorOrder order, int y, int width, float* tensor) const;
    void write_bytes(const std::uint8_t* row, int step, ColorOrder order, int y, int width, std::uint8_t* all) const;
    void pad_below(int height, void* tensor) const;
    void pad_bytes(std::uint8_t* out, std::ptrdiff_t pixels) const;
    [[nodiscard]] std::ptrdiff_t plane() const noexcept { return std::ptrdiff_t{input_.height} * input_.width; }

    Size input_, grid_;
    InputKind kind_;
    ColorOrder order_;  // of the model's channels
    Fit fit_;
    std::array<std::array<float, 256>, 3> tables_{};
    std::array<std::uint8_t, 3> padding_{};
    ByteResizer resize_;
};

}  // namespace afformer::core
