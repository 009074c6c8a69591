// Pictures in, class maps out, without any image library.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "errors.hpp"

namespace afformer {

struct Size {
    int height = 0;
    int width = 0;

    friend bool operator==(Size a, Size b) noexcept { return a.height == b.height && a.width == b.width; }
    friend bool operator!=(Size a, Size b) noexcept { return !(a == b); }
};

enum class ColorOrder { rgb, bgr };

// A picture that belongs to somebody else: `(H, W, 3)` uint8, rows `stride` bytes apart, pixels side by side.
struct ImageView {
    const std::uint8_t* data = nullptr;
    Size size;
    std::ptrdiff_t stride = 0;
    ColorOrder order = ColorOrder::rgb;

    ImageView(const std::uint8_t* data_, int height, int width, std::ptrdiff_t stride_ = 0,
              ColorOrder order_ = ColorOrder::rgb)
        : data(data_), size{height, width}, stride(stride_ != 0 ? stride_ : std::ptrdiff_t{3} * width), order(order_) {
        check();
    }

    // Throws Error(image) if the fields make no picture. Called again on use, as they may have been changed.
    void check() const {
        if (data == nullptr || size.height < 1 || size.width < 1 || stride < std::ptrdiff_t{3} * size.width) {
            throw Error(ErrorCode::image, "a picture must be (H, W, 3) uint8 with at least one pixel and rows at least "
                                          "3 * W bytes apart, but got " +
                                              std::string(data == nullptr ? "a null pointer, " : "") +
                                              std::to_string(size.height) + "x" + std::to_string(size.width) + ", " +
                                              std::to_string(stride) + " bytes apart");
        }
    }
};

// `(H, W)` class ids, row by row without gaps.
struct ClassMap {
    Size size;
    std::vector<std::uint8_t> ids;

    // Throws Error(invalid_argument) outside the map.
    [[nodiscard]] std::uint8_t at(int row, int column) const {
        if (row < 0 || row >= size.height || column < 0 || column >= size.width) {
            throw Error(ErrorCode::invalid_argument, "a class map of " + std::to_string(size.height) + "x" +
                                                         std::to_string(size.width) + " has no pixel at row " +
                                                         std::to_string(row) + ", column " + std::to_string(column));
        }
        return ids.at(static_cast<std::size_t>(row) * static_cast<std::size_t>(size.width) +
                      static_cast<std::size_t>(column));
    }
};

}  // namespace afformer
