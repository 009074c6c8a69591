// Pictures in, class maps out; neither knows of any image library.
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

// A picture of somebody else's: `(H, W, 3)` uint8, rows `stride` bytes apart, three bytes a pixel side by side.
struct ImageView {
    const std::uint8_t* data = nullptr;
    Size size;
    std::ptrdiff_t stride = 0;
    ColorOrder order = ColorOrder::rgb;

    ImageView(const std::uint8_t* data_, int height, int width, std::ptrdiff_t stride_ = 0,
              ColorOrder order_ = ColorOrder::rgb)
        : data(data_), size{height, width}, stride(stride_ != 0 ? stride_ : std::ptrdiff_t{3} * width), order(order_) {
        if (data == nullptr || height < 1 || width < 1 || stride < std::ptrdiff_t{3} * width) {
            throw Error(ErrorCode::image, "a picture must be (H, W, 3) uint8 with at least one pixel and rows at least "
                                          "3 * W bytes apart, but got " + std::to_string(height) + "x" +
                                              std::to_string(width) + ", " + std::to_string(stride) + " bytes apart");
        }
    }
};

// `(H, W)` class ids, row by row without gaps.
struct ClassMap {
    Size size;
    std::vector<std::uint8_t> ids;

    [[nodiscard]] std::uint8_t at(int row, int column) const {
        return ids.at(static_cast<std::size_t>(row) * static_cast<std::size_t>(size.width) +
                      static_cast<std::size_t>(column));
    }
};

}  // namespace afformer
