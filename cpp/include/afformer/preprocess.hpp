// From a picture to the model's input tensor, as in training: bilinear on the bytes, then normalised.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>

#include "image.hpp"
#include "resize.hpp"
#include "rounding.hpp"
#include "spec.hpp"

namespace afformer {

// How a picture is brought to the model's input size.
enum class Fit {
    stretch,  // resized to the input size, whatever its aspect ratio
    pad,      // resized inside it with its aspect ratio kept, then padded at the right or bottom with the mean
};

// Where in the model's answer a prepared picture lies.
struct Prepared {
    Size image;      // of the original picture, in pixels
    Size covered;    // part of the input that the picture covers, from the top left corner, in input pixels
    double span_y;   // rows of the logit grid that the picture covers, in (fractional) cells
    double span_x;   // columns of it
};

// Makes the model's input of whole pictures. Allocates nothing as long as they are of one size. Serves one thread.
class Preprocessor {
public:
    Preprocessor(const ModelSpec& spec, Fit fit)
        : input_(spec.input), grid_(spec.logits_size()), kind_(spec.input_kind), fit_(fit) {
        for (std::size_t c = 0; c < 3; ++c) {
            fill_table(c, spec.mean[c], spec.std[c]);
            padding_[c] = static_cast<std::uint8_t>(std::clamp(std::nearbyint(spec.mean[c]), 0.0, 255.0));
        }
    }

    // Writes one picture's `(3, H, W)` float or `(H, W, 3)` uint8 to `tensor`: all of it, the padding included.
    Prepared operator()(const ImageView& image, void* tensor) {
        image.check();
        const Size covered = fit_ == Fit::stretch ? input_ : inside(image.size);
        const auto write = [&](int y, const std::uint8_t* row, int step) {
            if (kind_ == InputKind::float32) {
                write_floats(row, step, image.order, y, covered.width, static_cast<float*>(tensor));
            } else {
                write_bytes(row, step, image.order, y, covered.width, static_cast<std::uint8_t*>(tensor));
            }
        };
        if (image.size == covered) {
            for (int y = 0; y < covered.height; ++y) {
                write(y, image.data + y * image.stride, 3);
            }
        } else {
            resize_(image, covered, [&](int y, const std::uint8_t* row) { write(y, row, detail::ByteResizer::step); });
        }
        pad_below(covered.height, tensor);
        return {image.size, covered, static_cast<double>(covered.height) / input_.height * grid_.height,
                static_cast<double>(covered.width) / input_.width * grid_.width};
    }

private:
    // What the 256 values of a channel become. A look-up instead of arithmetic: the same bits on every processor.
    void fill_table(std::size_t channel, double mean, double std) {
        const auto scale = static_cast<float>(1 / std);
        const auto shift = static_cast<float>(mean / std);
        for (int value = 0; value < 256; ++value) {
            tables_[channel][static_cast<std::size_t>(value)] =
                detail::product(static_cast<float>(value), scale) - shift;
        }
    }

    [[nodiscard]] Size inside(Size image) const {
        const double scale = std::min(static_cast<double>(input_.height) / image.height,
                                      static_cast<double>(input_.width) / image.width);
        const auto scaled = [scale](int length, int most) {
            return static_cast<int>(std::clamp(std::nearbyint(length * scale), 1.0, static_cast<double>(most)));
        };
        return {scaled(image.height, input_.height), scaled(image.width, input_.width)};
    }

    void write_floats(const std::uint8_t* row, int step, ColorOrder order, int y, int width, float* tensor) const {
        float* const red = tensor + y * std::ptrdiff_t{input_.width};
        float* const green = red + plane();
        float* const blue = green + plane();
        const int first = order == ColorOrder::rgb ? 0 : 2;
        for (int x = 0; x < width; ++x, row += step) {
            red[x] = tables_[0][row[first]];
            green[x] = tables_[1][row[1]];
            blue[x] = tables_[2][row[2 - first]];
        }
        for (float* const out : {red, green, blue}) {
            std::fill(out + width, out + input_.width, 0.0F);
        }
    }

    void write_bytes(const std::uint8_t* row, int step, ColorOrder order, int y, int width, std::uint8_t* all) const {
        std::uint8_t* const out = all + y * std::ptrdiff_t{3} * input_.width;
        for (int x = 0; x < width; ++x, row += step) {
            std::uint8_t* const pixel = out + std::ptrdiff_t{3} * x;
            std::memcpy(pixel, row, 3);
            if (order == ColorOrder::bgr) {
                std::swap(pixel[0], pixel[2]);
            }
        }
        pad_bytes(out + std::ptrdiff_t{3} * width, input_.width - width);
    }

    void pad_below(int height, void* tensor) const {
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

    void pad_bytes(std::uint8_t* out, std::ptrdiff_t pixels) const {
        for (std::ptrdiff_t i = 0; i < pixels; ++i, out += 3) {
            std::copy(padding_.begin(), padding_.end(), out);
        }
    }

    [[nodiscard]] std::ptrdiff_t plane() const noexcept { return std::ptrdiff_t{input_.height} * input_.width; }

    Size input_, grid_;
    InputKind kind_;
    Fit fit_;
    std::array<std::array<float, 256>, 3> tables_{};
    std::array<std::uint8_t, 3> padding_{};
    detail::ByteResizer resize_;
};

}  // namespace afformer
