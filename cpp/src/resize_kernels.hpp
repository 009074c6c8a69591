// The inner loops of the resize, in plain C++ and in the vector instructions of the processor; all give the same bits.
//
// Pixels are four values wide, of which the fourth means nothing: then a pixel fills a whole part of a register.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace afformer::core {

// Where one pixel of the result lies between two of the source.
struct Tap {
    int before = 0;
    int after = 0;
    std::array<std::int16_t, 2> weights{};  // of before and after, 11 bits
};

inline constexpr int pixel_step = 4;
inline constexpr std::size_t register_values = 8;  // of 16 bits; lines are whole registers long

struct ResizeKernels {
    const char* name;

    // line(x) = (a * p(before) + b * p(after)) >> 4 for the first `count` pixels of a line.
    //
    // `source`: RGB bytes, of which two behind each tap's neighbours may be read.
    void (*mix_columns)(const std::uint8_t* source, const Tap* taps, int count, std::int16_t* line);

    // row = (((c * before) >> 16) + ((d * after) >> 16) + 2) >> 2 for `length` values, whole registers.
    void (*mix_lines)(const std::int16_t* before, const std::int16_t* after, std::array<std::int16_t, 2> weights,
                      std::size_t length, std::uint8_t* row);

    // row(x) = (upper(2x) + upper(2x + 1) + lower(2x) + lower(2x + 1) + 2) >> 2 for `count` pixels.
    //
    // `upper`, `lower`: RGB bytes, of which two behind the last pixels may be read.
    void (*average)(const std::uint8_t* upper, const std::uint8_t* lower, int count, std::uint8_t* row);
};

// In plain C++, which reads nothing behind the pixels.
extern const ResizeKernels scalar_kernels;
// In the vector instructions that every processor of this architecture has; the scalar ones if there are none.
extern const ResizeKernels& native_kernels;

}  // namespace afformer::core
