// A class map at another size, each pixel taking the class of the nearest one (pixel centres aligned).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include <afformer/image.hpp>

namespace afformer::core {

// Keeps its table as long as the widths stay.
class NearestResizer {
public:
    // `from` rows, `pitch` bytes apart, to `to` rows without gaps, in other memory. No size is 0.
    void operator()(const std::uint8_t* ids, std::ptrdiff_t pitch, Size from, Size to, std::uint8_t* out) {
        bind(from.width, to.width);
        int last = -1;
        for (int y = 0; y < to.height; ++y, out += to.width) {
            const int row = nearest(y, from.height, to.height);
            if (row == last) {
                std::memcpy(out, out - to.width, columns_.size());
            } else {
                widen(ids + row * pitch, out);
                last = row;
            }
        }
    }

private:
    // The pixel of `length` that pixel `i` of `out` lies in.
    [[nodiscard]] static int nearest(int i, int length, int out) noexcept {
        return std::min(static_cast<int>((i + 0.5) * (static_cast<double>(length) / out)), length - 1);
    }

    void bind(int width, int out) {
        if (width == width_ && static_cast<std::size_t>(out) == columns_.size()) {
            return;
        }
        width_ = 0;  // none, until the table is whole: memory may run out meanwhile
        columns_.resize(static_cast<std::size_t>(out));
        for (int x = 0; x < out; ++x) {
            columns_[static_cast<std::size_t>(x)] = nearest(x, width, out);
        }
        width_ = width;
    }

    void widen(const std::uint8_t* row, std::uint8_t* out) const {
        if (static_cast<std::size_t>(width_) == columns_.size()) {
            std::memcpy(out, row, columns_.size());
            return;
        }
        for (std::size_t x = 0; x < columns_.size(); ++x) {
            out[x] = row[columns_[x]];
        }
    }

    int width_ = 0;
    std::vector<int> columns_;
};

}  // namespace afformer::core
