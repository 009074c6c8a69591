// Where the pixels of a class map lie in the logit grid, along one axis.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "rounding.hpp"

// Before a short loop that is to be done in vectors: g++ would unroll it first and then not find them any more.
#if defined(__GNUC__) && !defined(__clang__)
#define AFFORMER_KEEP_LOOP _Pragma("GCC unroll 1")
#else
#define AFFORMER_KEEP_LOOP
#endif

namespace afformer::core {

// How many pixels the inner loops take at once; the weights are padded for it.
inline constexpr int lanes = 8;

// Neighbouring pixels between the same two cells.
struct Run {
    int before;  // the cell before them
    int after;   // the cell after them; the same one outside the first and the last cell's centre
    int start;   // the first pixel
    int length;  // how many
};

// Pixel i of `out` samples the grid at `(i + 0.5) * span / out - 0.5`, clamped to the grid, as PyTorch's `interpolate`
// with align_corners=False. Kept as long as the sizes stay.
class GridAxis {
public:
    void bind(int cells, double span, int out) {
        if (cells == cells_ && span == span_ && out == out_) {
            return;
        }
        out_ = 0;  // no size, until the tables are whole: memory may run out meanwhile
        runs_.clear();
        weights_.assign(static_cast<std::size_t>(out) + lanes, 0.0F);
        int last = -2;
        for (int i = 0; i < out; ++i) {
            const double source = product(i + 0.5, span / out) - 0.5;
            const double floor = std::floor(source);
            weights_[static_cast<std::size_t>(i)] = static_cast<float>(source - floor);
            const int cell = static_cast<int>(floor);
            if (cell != last) {
                runs_.push_back({std::max(cell, 0), std::min(cell + 1, cells - 1), i, 0});
                last = cell;
            }
            ++runs_.back().length;
        }
        cells_ = cells, span_ = span, out_ = out;
    }

    [[nodiscard]] const std::vector<Run>& runs() const noexcept { return runs_; }
    // Of the cells `after`, one a pixel of `run` and some more that mean nothing, to fill the last lanes.
    [[nodiscard]] const float* weights(const Run& run) const noexcept {
        return weights_.data() + static_cast<std::size_t>(run.start);
    }

private:
    int cells_ = 0, out_ = 0;
    double span_ = 0;
    std::vector<Run> runs_;
    std::vector<float> weights_;
};

}  // namespace afformer::core
