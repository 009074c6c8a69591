#include "resize.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "rounding.hpp"

namespace afformer::core {
namespace {

// The taps of one axis. `hold_ends`: a pixel beyond the first or last centre is that one alone; otherwise it is mixed
// of that one and itself, which OpenCV does along y.
void make_taps(int from, int to, bool hold_ends, std::vector<Tap>& taps) {
    constexpr float one = 2048;
    const double scale = 1.0 / (static_cast<double>(to) / from);
    taps.resize(static_cast<std::size_t>(to));
    for (int i = 0; i < to; ++i) {
        const auto source = static_cast<float>(product(i + 0.5, scale) - 0.5);
        const int pixel = static_cast<int>(std::floor(source));
        const bool outside = pixel < 0 || pixel >= from - 1;
        const float share = hold_ends && outside ? 0.0F : source - static_cast<float>(pixel);
        Tap& tap = taps[static_cast<std::size_t>(i)];
        tap.before = std::clamp(pixel, 0, from - 1);
        tap.after = std::clamp(pixel + 1, 0, from - 1);
        tap.weights = {static_cast<std::int16_t>(std::lrint((1.0F - share) * one)),
                       static_cast<std::int16_t>(std::lrint(share * one))};
    }
}

}  // namespace

void ByteResizer::begin(const ImageView& image, Size to) {
    held_ = {-1, -1};
    if (image.size != from_ || to != to_) {
        bind(image.size, to);
    }
}

const std::uint8_t* ByteResizer::row(const ImageView& image, int y) {
    if (halves_) {
        average(image, y);
    } else {
        interpolate(image, y);
    }
    return row_.data();
}

void ByteResizer::bind(Size from, Size to) {
    from_ = to_ = {};  // no size, until the tables are whole: memory may run out meanwhile
    halves_ = from.height == 2 * to.height && from.width == 2 * to.width;
    make_taps(from.height, to.height, false, rows_);
    make_taps(from.width, to.width, true, columns_);
    const std::size_t values = static_cast<std::size_t>(to.width) * pixel_step;
    const std::size_t length = (values + register_values - 1) / register_values * register_values;
    row_.resize(length);
    for (auto& line : lines_) {
        line.resize(length);
    }
    wide_ = static_cast<int>(
        std::count_if(columns_.begin(), columns_.end(), [&](const Tap& tap) { return tap.before + 3 <= from.width; }));
    from_ = from, to_ = to;
}

void ByteResizer::interpolate(const ImageView& image, int y) {
    const Tap& tap = rows_[static_cast<std::size_t>(y)];
    const std::int16_t* const before = line(image, tap.before);
    const std::int16_t* const after = line(image, tap.after);
    kernels_.mix_lines(before, after, tap.weights, row_.size(), row_.data());
}

// Source row `y`, resized along x. Two neighbouring rows are kept, as the next row of the result often needs one.
const std::int16_t* ByteResizer::line(const ImageView& image, int y) {
    const auto slot = static_cast<std::size_t>(y & 1);
    std::int16_t* const line = lines_[slot].data();
    if (held_[slot] != y) {
        held_[slot] = y;
        const std::uint8_t* const source = image.data + y * image.stride;
        kernels_.mix_columns(source, columns_.data(), wide_, line);
        scalar_kernels.mix_columns(source, columns_.data() + wide_, to_.width - wide_,
                                   line + std::ptrdiff_t{pixel_step} * wide_);
    }
    return line;
}

void ByteResizer::average(const ImageView& image, int y) {
    const std::uint8_t* const upper = image.data + 2 * y * image.stride;
    const std::uint8_t* const lower = upper + image.stride;
    const int wide = to_.width - 1;  // the last pixel may end the picture
    kernels_.average(upper, lower, wide, row_.data());
    scalar_kernels.average(upper + std::ptrdiff_t{6} * wide, lower + std::ptrdiff_t{6} * wide, 1,
                           row_.data() + std::ptrdiff_t{pixel_step} * wide);
}

}  // namespace afformer::core
