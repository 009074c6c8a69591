#include "preprocess.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "rounding.hpp"

namespace afformer::core {

Preprocessor::Preprocessor(const ModelSpec& spec, Fit fit, const ResizeKernels& kernels)
    : input_(spec.input), grid_(spec.logits_size()), kind_(spec.input_kind), order_(spec.color_order), fit_(fit), resize_(kernels) {
    for (std::size_t c = 0; c < 3; ++c) {
        fill_table(c, spec.mean[c], spec.std[c]);
        padding_[c] = static_cast<std::uint8_t>(std::clamp(std::nearbyint(spec.mean[c]), 0.0, 255.0));
    }
}

Prepared Preprocessor::operator()(const ImageView& image, void* tensor) {
    image.check();
    const Size covered = fit_ == Fit::stretch ? input_ : inside(image.size);
    if (image.size == covered) {
        for (int y = 0; y < covered.height; ++y) {
            write(image.data + y * image.stride, 3, image.order, y, covered.width, tensor);
        }
    } else {
        resize_.begin(image, covered);
        for (int y = 0; y < covered.height; ++y) {
            write(resize_.row(image, y), pixel_step, image.order, y, covered.width, tensor);
        }
    }
    pad_below(covered.height, tensor);
    return {image.size, covered, static_cast<double>(covered.height) / input_.height * grid_.height,
            static_cast<double>(covered.width) / input_.width * grid_.width};
}

// What the 256 values of a channel become. A look-up instead of arithmetic: the same bits on every processor.
void Preprocessor::fill_table(std::size_t channel, double mean, double std) {
    const auto scale = static_cast<float>(1 / std);
    const auto shift = static_cast<float>(mean / std);
    for (int value = 0; value < 256; ++value) {
        tables_[channel][static_cast<std::size_t>(value)] = product(static_cast<float>(value), scale) - shift;
    }
}

Size Preprocessor::inside(Size image) const {
    const double scale =
        std::min(static_cast<double>(input_.height) / image.height, static_cast<double>(input_.width) / image.width);
    const auto scaled = [scale](int length, int most) {
        return static_cast<int>(std::clamp(std::nearbyint(length * scale), 1.0, static_cast<double>(most)));
    };
    return {scaled(image.height, input_.height), scaled(image.width, input_.width)};
}

void Preprocessor::write(const std::uint8_t* row, int step, ColorOrder order, int y, int width, void* tensor) const {
    if (kind_ == InputKind::float32) {
        write_floats(row, step, order, y, width, static_cast<float*>(tensor));
    } else {
        write_bytes(row, step, order, y, width, static_cast<std::uint8_t*>(tensor));
    }
}

void Preprocessor::write_floats(const std::uint8_t* row, int step, ColorOrder order, int y, int width,
                                float* tensor) const {
    float* const one = tensor + y * std::ptrdiff_t{input_.width};
    float* const two = one + plane();
    float* const three = two + plane();
    const int first = order == order_ ? 0 : 2;
    for (int x = 0; x < width; ++x, row += step) {
        one[x] = tables_[0][row[first]];
        two[x] = tables_[1][row[1]];
        three[x] = tables_[2][row[2 - first]];
    }
    for (float* const out : {one, two, three}) {
        std::fill(out + width, out + input_.width, 0.0F);
    }
}

void Preprocessor::write_bytes(const std::uint8_t* row, int step, ColorOrder order, int y, int width,
                               std::uint8_t* all) const {
    std::uint8_t* const out = all + y * std::ptrdiff_t{3} * input_.width;
    for (int x = 0; x < width; ++x, row += step) {
        std::uint8_t* const pixel = out + std::ptrdiff_t{3} * x;
        std::memcpy(pixel, row, 3);
        if (order != order_) {
            std::swap(pixel[0], pixel[2]);
        }
    }
    pad_bytes(out + std::ptrdiff_t{3} * width, input_.width - width);
}

void Preprocessor::pad_below(int height, void* tensor) const {
    const std::ptrdiff_t filled = height * std::ptrdiff_t{input_.width};
    if (kind_ == InputKind::uint8) {
        pad_bytes(static_cast<std::uint8_t*>(tensor) + 3 * filled, plane() - filled);
        return;
    }
    for (int c = 0; c < 3; ++c) {
        float* const out = static_cast<float*>(tensor) + c * plane();
        std::fill(out + filled, out + plane(), 0.0F);
    }
}

void Preprocessor::pad_bytes(std::uint8_t* out, std::ptrdiff_t pixels) const {
    for (std::ptrdiff_t i = 0; i < pixels; ++i, out += 3) {
        std::copy(padding_.begin(), padding_.end(), out);
    }
}

}  // namespace afformer::core
