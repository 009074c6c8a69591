// Bilinear resize of bytes in fixed-point arithmetic, bit for bit what OpenCV's INTER_LINEAR gives.
//
// With a, b the weights of the neighbours before and after along x, and c, d those along y, all of 11 bits:
//
//   line(y, x)  = (a * p(y, x before) + b * p(y, x after)) >> 4                                    15 bits
//   pixel(y, x) = (((c * line(y before, x)) >> 16) + ((d * line(y after, x)) >> 16) + 2) >> 2      8 bits
//
// A picture of exactly twice the size in both directions is averaged instead: (p00 + p01 + p10 + p11 + 2) >> 2.
#pragma once

#include <afformer/image.hpp>
#include <array>
#include <cstdint>
#include <vector>

#include "resize_kernels.hpp"

namespace afformer::core {

// Resizes pictures row by row. Keeps its tables and work rows as long as the sizes stay. Serves one thread.
class ByteResizer {
public:
    explicit ByteResizer(const ResizeKernels& kernels = native_kernels) : kernels_(kernels) {}

    // Begins with a picture that is to be resized to `to`; it must outlive the calls of `row`.
    void begin(const ImageView& image, Size to);

    // Row `y` of the result, `pixel_step` bytes a pixel, valid until the next call. Fastest from the top down.
    [[nodiscard]] const std::uint8_t* row(const ImageView& image, int y);

private:
    void bind(Size from, Size to);
    void interpolate(const ImageView& image, int y);
    [[nodiscard]] const std::int16_t* line(const ImageView& image, int y);
    void average(const ImageView& image, int y);

    const ResizeKernels& kernels_;
    Size from_, to_;
    bool halves_ = false;
    int wide_ = 0;  // so many columns, from the left, have two bytes behind their neighbours
    std::vector<Tap> rows_, columns_;
    std::array<std::vector<std::int16_t>, 2> lines_;  // source row y is in `lines_[y % 2]`
    std::array<int, 2> held_{-1, -1};                 // which source rows these are
    std::vector<std::uint8_t> row_;
};

}  // namespace afformer::core
