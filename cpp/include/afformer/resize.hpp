// Bilinear resize of bytes in fixed-point arithmetic, bit for bit what OpenCV's INTER_LINEAR gives.
//
// With a, b the weights of the neighbours before and after along x, and c, d those along y, all of 11 bits:
//
//   line(y, x)  = (a * p(y, x before) + b * p(y, x after)) >> 4                                    15 bits
//   pixel(y, x) = (((c * line(y before, x)) >> 16) + ((d * line(y after, x)) >> 16) + 2) >> 2      8 bits
//
// A picture of exactly twice the size in both directions is averaged instead: (p00 + p01 + p10 + p11 + 2) >> 2.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "image.hpp"
#include "rounding.hpp"

namespace afformer::detail {

// Where one pixel of the result lies between two of the source.
struct Tap {
    int before = 0;
    int after = 0;
    std::array<std::int16_t, 2> weights{};  // of before and after
};

// The taps of one axis. `hold_ends`: a pixel beyond the first or last centre is that one alone; otherwise it is mixed
// of that one and itself, which OpenCV does along y.
inline void make_taps(int from, int to, bool hold_ends, std::vector<Tap>& taps) {
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

// Resizes pictures row by row. Keeps its tables and work rows as long as the sizes stay.
class ByteResizer {
public:
    // Bytes from pixel to pixel in the rows it makes: a fourth one lets a pixel fill a whole register.
    static constexpr int step = 4;

    // Calls `sink(y, row)` with every row of `image` resized to `to`, from the top; a row is valid during the call.
    template <typename Sink>
    void operator()(const ImageView& image, Size to, Sink&& sink) {
        bind(image.size, to);
        for (int y = 0; y < to.height; ++y) {
            if (halves_) {
                average(image, y);
            } else {
                interpolate(image, y);
            }
            sink(y, static_cast<const std::uint8_t*>(row_.data()));
        }
    }

private:
    static constexpr std::size_t eight = 8;  // values a register; work rows are whole registers

    void bind(Size from, Size to) {
        held_ = {-1, -1};
        if (from == from_ && to == to_) {
            return;
        }
        from_ = to_ = {};  // no size, until the tables are whole: memory may run out meanwhile
        halves_ = from.height == 2 * to.height && from.width == 2 * to.width;
        make_taps(from.height, to.height, false, rows_);
        make_taps(from.width, to.width, true, columns_);
        const std::size_t length = (static_cast<std::size_t>(to.width) * step + eight - 1) / eight * eight;
        row_.resize(length);
        for (auto& line : lines_) {
            line.resize(length);
        }
        // A pixel's two neighbours are read as eight bytes at once, of which two lie behind them.
        wide_ = static_cast<int>(std::count_if(columns_.begin(), columns_.end(),
                                               [&](const Tap& tap) { return tap.before + 3 <= from.width; }));
        from_ = from, to_ = to;
    }

    void interpolate(const ImageView& image, int y) {
        const Tap tap = rows_[static_cast<std::size_t>(y)];
        const std::int16_t* const before = line(image, tap.before);
        const std::int16_t* const after = line(image, tap.after);
        std::uint8_t* const out = row_.data();
        const std::size_t length = row_.size();
#if defined(__SSE2__)
        const __m128i weight_before = _mm_set1_epi16(tap.weights[0]);
        const __m128i weight_after = _mm_set1_epi16(tap.weights[1]);
        const __m128i half = _mm_set1_epi16(2);
        for (std::size_t i = 0; i < length; i += eight) {
            const __m128i upper = _mm_mulhi_epi16(load(before + i), weight_before);
            const __m128i lower = _mm_mulhi_epi16(load(after + i), weight_after);
            const __m128i sum = _mm_add_epi16(_mm_add_epi16(upper, lower), half);
            store_half(out + i, _mm_packus_epi16(_mm_srai_epi16(sum, 2), half));
        }
#else
        for (std::size_t i = 0; i < length; ++i) {
            const int upper = (before[i] * tap.weights[0]) >> 16;
            const int lower = (after[i] * tap.weights[1]) >> 16;
            out[i] = static_cast<std::uint8_t>((upper + lower + 2) >> 2);
        }
#endif
    }

    // Source row `y`, resized along x. Two neighbouring rows are kept, as the next row of the result often needs one.
    [[nodiscard]] const std::int16_t* line(const ImageView& image, int y) {
        const auto slot = static_cast<std::size_t>(y & 1);
        if (held_[slot] != y) {
            held_[slot] = y;
            const std::uint8_t* const source = image.data + y * image.stride;
            fill_line(source, lines_[slot].data());
        }
        return lines_[slot].data();
    }

    void fill_line(const std::uint8_t* source, std::int16_t* out) const {
        int x = 0;
#if defined(__SSE2__)
        const __m128i zero = _mm_setzero_si128();
        for (; x < wide_; ++x) {
            const Tap& tap = columns_[static_cast<std::size_t>(x)];
            const __m128i both = load_half(source + std::ptrdiff_t{3} * tap.before);  // r g b R G B . .
            const __m128i pairs = _mm_unpacklo_epi8(both, _mm_srli_epi64(both, 24));    // r R g G b B . .
            std::int32_t weights = 0;
            std::memcpy(&weights, tap.weights.data(), sizeof weights);
            const __m128i sums = _mm_madd_epi16(_mm_unpacklo_epi8(pairs, zero), _mm_set1_epi32(weights));
            const __m128i result = _mm_srai_epi32(sums, 4);
            store_half(out + std::ptrdiff_t{step} * x, _mm_packs_epi32(result, result));
        }
#endif
        for (; x < to_.width; ++x) {
            const Tap& tap = columns_[static_cast<std::size_t>(x)];
            const std::uint8_t* const before = source + std::ptrdiff_t{3} * tap.before;
            const std::uint8_t* const after = source + std::ptrdiff_t{3} * tap.after;
            for (int c = 0; c < 3; ++c) {
                const int sum = before[c] * tap.weights[0] + after[c] * tap.weights[1];
                out[std::ptrdiff_t{step} * x + c] = static_cast<std::int16_t>(sum >> 4);
            }
        }
    }

#if defined(__SSE2__)
    static __m128i load(const void* from) { return _mm_loadu_si128(static_cast<const __m128i*>(from)); }
    static __m128i load_half(const void* from) { return _mm_loadl_epi64(static_cast<const __m128i*>(from)); }
    static void store_half(void* to, __m128i values) { _mm_storel_epi64(static_cast<__m128i*>(to), values); }
#endif

    void average(const ImageView& image, int y) {
        const std::uint8_t* upper = image.data + 2 * y * image.stride;
        const std::uint8_t* lower = upper + image.stride;
        std::uint8_t* out = row_.data();
        int x = 0;
#if defined(__SSE2__)
        const __m128i zero = _mm_setzero_si128();
        for (; x < to_.width - 1; ++x, upper += 6, lower += 6, out += step) {
            const __m128i both = _mm_add_epi16(_mm_unpacklo_epi8(load_half(upper), zero),
                                               _mm_unpacklo_epi8(load_half(lower), zero));  // r g b R G B . .
            const __m128i sums = _mm_add_epi16(_mm_add_epi16(both, _mm_srli_si128(both, 6)), _mm_set1_epi16(2));
            const int pixel = _mm_cvtsi128_si32(_mm_packus_epi16(_mm_srai_epi16(sums, 2), zero));
            std::memcpy(out, &pixel, step);
        }
#endif
        for (; x < to_.width; ++x, upper += 6, lower += 6, out += step) {
            for (int c = 0; c < 3; ++c) {
                out[c] = static_cast<std::uint8_t>((upper[c] + upper[c + 3] + lower[c] + lower[c + 3] + 2) >> 2);
            }
        }
    }

    Size from_, to_;
    bool halves_ = false;
    int wide_ = 0;  // so many columns, from the left, can be read as eight bytes
    std::vector<Tap> rows_, columns_;
    std::array<std::vector<std::int16_t>, 2> lines_;  // source row y is in `lines_[y % 2]`
    std::array<int, 2> held_{-1, -1};                 // which source rows these are
    std::vector<std::uint8_t> row_;
};

}  // namespace afformer::detail
