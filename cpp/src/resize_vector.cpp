#include "resize_kernels.hpp"

#if defined(__SSE2__) || defined(_M_X64)

#include <emmintrin.h>

#include <cstring>

namespace afformer::core {
namespace {

__m128i load(const void* from) { return _mm_loadu_si128(static_cast<const __m128i*>(from)); }
__m128i load_half(const void* from) { return _mm_loadl_epi64(static_cast<const __m128i*>(from)); }
void store_half(void* to, __m128i values) { _mm_storel_epi64(static_cast<__m128i*>(to), values); }

void mix_columns(const std::uint8_t* source, const Tap* taps, int count, std::int16_t* line) {
    const __m128i zero = _mm_setzero_si128();
    for (const Tap* tap = taps; tap != taps + count; ++tap, line += pixel_step) {
        const __m128i both = load_half(source + std::ptrdiff_t{3} * tap->before);  // r g b R G B . .
        const __m128i pairs = _mm_unpacklo_epi8(both, _mm_srli_epi64(both, 24));   // r R g G b B . .
        std::int32_t weights = 0;
        std::memcpy(&weights, tap->weights.data(), sizeof weights);
        const __m128i sums = _mm_madd_epi16(_mm_unpacklo_epi8(pairs, zero), _mm_set1_epi32(weights));
        const __m128i result = _mm_srai_epi32(sums, 4);
        store_half(line, _mm_packs_epi32(result, result));
    }
}

void mix_lines(const std::int16_t* before, const std::int16_t* after, std::array<std::int16_t, 2> weights,
               std::size_t length, std::uint8_t* row) {
    const __m128i weight_before = _mm_set1_epi16(weights[0]);
    const __m128i weight_after = _mm_set1_epi16(weights[1]);
    const __m128i half = _mm_set1_epi16(2);
    for (std::size_t i = 0; i < length; i += register_values) {
        const __m128i upper = _mm_mulhi_epi16(load(before + i), weight_before);
        const __m128i lower = _mm_mulhi_epi16(load(after + i), weight_after);
        const __m128i sum = _mm_add_epi16(_mm_add_epi16(upper, lower), half);
        store_half(row + i, _mm_packus_epi16(_mm_srai_epi16(sum, 2), half));
    }
}

void average(const std::uint8_t* upper, const std::uint8_t* lower, int count, std::uint8_t* row) {
    const __m128i zero = _mm_setzero_si128();
    for (int x = 0; x < count; ++x, upper += 6, lower += 6, row += pixel_step) {
        const __m128i both = _mm_add_epi16(_mm_unpacklo_epi8(load_half(upper), zero),
                                           _mm_unpacklo_epi8(load_half(lower), zero));  // r g b R G B . .
        const __m128i sums = _mm_add_epi16(_mm_add_epi16(both, _mm_srli_si128(both, 6)), _mm_set1_epi16(2));
        const int pixel = _mm_cvtsi128_si32(_mm_packus_epi16(_mm_srai_epi16(sums, 2), zero));
        std::memcpy(row, &pixel, sizeof pixel);
    }
}

const ResizeKernels sse2_kernels{"SSE2", mix_columns, mix_lines, average};

}  // namespace

const ResizeKernels& native_kernels = sse2_kernels;

}  // namespace afformer::core

#elif defined(__ARM_NEON)

#include <arm_neon.h>

#include <cstring>

namespace afformer::core {
namespace {

void mix_columns(const std::uint8_t* source, const Tap* taps, int count, std::int16_t* line) {
    for (const Tap* tap = taps; tap != taps + count; ++tap, line += pixel_step) {
        const uint8x8_t both = vld1_u8(source + std::ptrdiff_t{3} * tap->before);  // r g b R G B . .
        const int16x4_t before = vget_low_s16(vreinterpretq_s16_u16(vmovl_u8(both)));
        const int16x4_t after = vget_low_s16(vreinterpretq_s16_u16(vmovl_u8(vext_u8(both, both, 3))));
        const int32x4_t sums = vmlal_n_s16(vmull_n_s16(before, tap->weights[0]), after, tap->weights[1]);
        vst1_s16(line, vshrn_n_s32(sums, 4));
    }
}

// (a * b) >> 16. Not vqdmulh, which doubles before it cuts.
int16x8_t high_product(int16x8_t values, std::int16_t by) {
    const int32x4_t low = vmull_n_s16(vget_low_s16(values), by);
    const int32x4_t high = vmull_n_s16(vget_high_s16(values), by);
    return vcombine_s16(vshrn_n_s32(low, 16), vshrn_n_s32(high, 16));
}

void mix_lines(const std::int16_t* before, const std::int16_t* after, std::array<std::int16_t, 2> weights,
               std::size_t length, std::uint8_t* row) {
    for (std::size_t i = 0; i < length; i += register_values) {
        const int16x8_t upper = high_product(vld1q_s16(before + i), weights[0]);
        const int16x8_t lower = high_product(vld1q_s16(after + i), weights[1]);
        vst1_u8(row + i, vqrshrun_n_s16(vaddq_s16(upper, lower), 2));  // (x + 2) >> 2
    }
}

void average(const std::uint8_t* upper, const std::uint8_t* lower, int count, std::uint8_t* row) {
    for (int x = 0; x < count; ++x, upper += 6, lower += 6, row += pixel_step) {
        const uint16x8_t both = vaddl_u8(vld1_u8(upper), vld1_u8(lower));                    // r g b R G B . .
        const uint8x8_t pixel = vrshrn_n_u16(vaddq_u16(both, vextq_u16(both, both, 3)), 2);  // (x + 2) >> 2
        std::memcpy(row, &pixel, pixel_step);
    }
}

const ResizeKernels neon_kernels{"NEON", mix_columns, mix_lines, average};

}  // namespace

const ResizeKernels& native_kernels = neon_kernels;

}  // namespace afformer::core

#else

namespace afformer::core {

const ResizeKernels& native_kernels = scalar_kernels;

}  // namespace afformer::core

#endif
