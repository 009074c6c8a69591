#include "resize_kernels.hpp"

namespace afformer::core {
namespace {

void mix_columns(const std::uint8_t* source, const Tap* taps, int count, std::int16_t* line) {
    for (const Tap* tap = taps; tap != taps + count; ++tap, line += pixel_step) {
        const std::uint8_t* const before = source + std::ptrdiff_t{3} * tap->before;
        const std::uint8_t* const after = source + std::ptrdiff_t{3} * tap->after;
        for (int c = 0; c < 3; ++c) {
            line[c] = static_cast<std::int16_t>((before[c] * tap->weights[0] + after[c] * tap->weights[1]) >> 4);
        }
    }
}

void mix_lines(const std::int16_t* before, const std::int16_t* after, std::array<std::int16_t, 2> weights,
               std::size_t length, std::uint8_t* row) {
    for (std::size_t i = 0; i < length; ++i) {
        const int upper = (before[i] * weights[0]) >> 16;
        const int lower = (after[i] * weights[1]) >> 16;
        row[i] = static_cast<std::uint8_t>((upper + lower + 2) >> 2);
    }
}

void average(const std::uint8_t* upper, const std::uint8_t* lower, int count, std::uint8_t* row) {
    for (int x = 0; x < count; ++x, upper += 6, lower += 6, row += pixel_step) {
        for (int c = 0; c < 3; ++c) {
            row[c] = static_cast<std::uint8_t>((upper[c] + upper[c + 3] + lower[c] + lower[c + 3] + 2) >> 2);
        }
    }
}

}  // namespace

const ResizeKernels scalar_kernels{"scalar", mix_columns, mix_lines, average};

}  // namespace afformer::core
