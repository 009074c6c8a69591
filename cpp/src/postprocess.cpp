#include "postprocess.hpp"

#include <afformer/errors.hpp>
#include <algorithm>
#include <cstring>
#include <limits>
#include <string>

#include "text.hpp"

namespace afformer::core {
namespace {

void check(int classes, Size grid, double span_y, double span_x, Size out) {
    if (classes < 1 || classes > 256 || std::min({grid.height, grid.width, out.height, out.width}) < 1) {
        throw Error(ErrorCode::invalid_argument,
                    "logits must be of 1 to 256 classes, and like the output not empty, but got " +
                        std::to_string(classes) + " classes, " + text_of(grid) + " cells and " + text_of(out) +
                        " pixels");
    }
    if (!(span_y > 0 && span_y <= grid.height && span_x > 0 && span_x <= grid.width)) {
        throw Error(ErrorCode::invalid_argument, "span must be inside the logit grid of " + text_of(grid) +
                                                     " cells, but got " + std::to_string(span_y) + "x" +
                                                     std::to_string(span_x));
    }
}

// `condition ? yes : no`, but never as a jump, which would keep compilers from taking several at once.
std::int32_t choose(bool condition, std::int32_t yes, std::int32_t no) noexcept {
    const std::int32_t mask = -static_cast<std::int32_t>(condition);
    return (yes & mask) | (no & ~mask);
}

void challenge(const float* logits, std::int32_t k, std::size_t count, float* best, std::int32_t* id) {
    for (std::size_t i = 0; i < count; ++i) {
        id[i] = choose(logits[i] > best[i], k, id[i]);
        best[i] = std::max(best[i], logits[i]);
    }
}

}  // namespace

void Postprocessor::from_logits(const float* logits, int classes, Size grid, double span_y, double span_x, Size out,
                                std::uint8_t* ids) {
    check(classes, grid, span_y, span_x, out);
    logits_ = logits, classes_ = classes, grid_ = grid;
    rows_.bind(grid.height, span_y, out.height);
    columns_.bind(grid.width, span_x, out.width);
    make_room();
    find_winners();
    for (const Run& rows : rows_.runs()) {
        std::uint8_t* const band = ids + std::ptrdiff_t{rows.start} * out.width;
        paint(rows, out.width, band);
        find_contenders(rows);
        for (std::size_t i = 0; i < contested_.size(); ++i) {
            resolve(rows, i, band, out.width);
        }
    }
}

void Postprocessor::resize(const std::uint8_t* classmap, Size size, Size covered, Size out, std::uint8_t* ids) {
    if (std::min({covered.height, covered.width, out.height, out.width}) < 1 || covered.height > size.height ||
        covered.width > size.width) {
        throw Error(ErrorCode::invalid_argument,
                    "a part of a class map must not be empty nor larger than it, but "
                    "got " +
                        text_of(covered) + " of " + text_of(size) + " to be made " + text_of(out));
    }
    nearest_(classmap, size.width, covered, out, ids);
}

// For the worst case of these sizes, so that no answer of the model makes the work arrays grow later.
void Postprocessor::make_room() {
    const std::size_t blocks = columns_.runs().size();
    winner_.resize(cells());
    contested_.reserve(blocks);
    contenders_.resize(blocks * static_cast<std::size_t>(classes_));
    highest_.resize(static_cast<std::size_t>(grid_.width));
    leads_.resize(static_cast<std::size_t>(classes_));
}

// The best class of each cell, a stretch of cells at a time so that their best logits stay in the nearest cache.
void Postprocessor::find_winners() {
    constexpr std::size_t stretch = 1024;
    std::array<float, stretch> best;
    std::array<std::int32_t, stretch> id;
    for (std::size_t start = 0; start < cells(); start += stretch) {
        const std::size_t count = std::min(stretch, cells() - start);
        std::copy_n(logits_ + start, count, best.begin());
        std::fill_n(id.begin(), count, 0);
        for (std::int32_t k = 1; k < classes_; ++k) {
            challenge(plane_of(k) + start, k, count, best.data(), id.data());
        }
        for (std::size_t i = 0; i < count; ++i) {
            winner_[start + i] = static_cast<std::uint8_t>(id[i]);
        }
    }
}

// Paints a band of rows, every block in the class of its top left corner, and notes the blocks to look at closer.
void Postprocessor::paint(const Run& rows, int width, std::uint8_t* band) {
    const std::uint8_t* const top = winner_.data() + cell(rows.before, 0);
    const std::uint8_t* const bottom = winner_.data() + cell(rows.after, 0);
    contested_.clear();
    for (const Run& run : columns_.runs()) {
        const std::uint8_t id = top[run.before];
        std::memset(band + run.start, id, static_cast<std::size_t>(run.length));
        if (top[run.after] != id || bottom[run.before] != id || bottom[run.after] != id) {
            contested_.push_back(contest(rows, run));
        }
    }
    for (int y = 1; y < rows.length; ++y) {
        std::memcpy(band + std::ptrdiff_t{y} * width, band, static_cast<std::size_t>(width));
    }
}

Postprocessor::Block Postprocessor::contest(const Run& rows, const Run& run) const {
    Block block;
    block.columns = run;
    block.bound = -std::numeric_limits<float>::infinity();
    const std::array<std::size_t, 4> corners{cell(rows.before, run.before), cell(rows.before, run.after),
                                             cell(rows.after, run.before), cell(rows.after, run.after)};
    for (std::size_t j = 0; j < corners.size(); ++j) {
        block.rivals[j] = at_corners(winner_[corners[j]], rows, run);
        block.bound = std::max(block.bound, *std::min_element(block.rivals[j].begin(), block.rivals[j].end()));
    }
    return block;
}

// For each contested block of a band, the classes that can win in it, ascending, to `contenders_`.
void Postprocessor::find_contenders(const Run& rows) {
    if (contested_.empty()) {
        return;
    }
    for (std::int32_t k = 0; k < classes_; ++k) {
        const float* const top = plane_of(k) + cell(rows.before, 0);
        const float* const bottom = plane_of(k) + cell(rows.after, 0);
        for (std::size_t x = 0; x < highest_.size(); ++x) {
            highest_[x] = std::max(top[x], bottom[x]);
        }
        for (std::size_t i = 0; i < contested_.size(); ++i) {
            Block& block = contested_[i];
            const float reach = std::max(highest_[static_cast<std::size_t>(block.columns.before)],
                                         highest_[static_cast<std::size_t>(block.columns.after)]);
            if (reach >= block.bound && unbeaten(at_corners(k, rows, block.columns), block)) {
                contenders_of(i)[block.contenders++] = static_cast<std::uint8_t>(k);
            }
        }
    }
}

// Whether a class is at least as good as each of the block's rivals at some corner.
bool Postprocessor::unbeaten(const Corners& own, const Block& block) {
    return std::all_of(block.rivals.begin(), block.rivals.end(), [&](const Corners& rival) {
        return own[0] >= rival[0] || own[1] >= rival[1] || own[2] >= rival[2] || own[3] >= rival[3];
    });
}

// Interpolates the contenders of a block and writes the winners.
void Postprocessor::resolve(const Run& rows, std::size_t i, std::uint8_t* band, int width) {
    const Block& block = contested_[i];
    if (block.contenders < 2) {
        return;  // the corners' winners are contenders, but where logits are not finite
    }
    for (int x = 0; x < block.columns.length; x += lanes) {
        fill_leads(rows, i, columns_.weights(block.columns) + x);
        const int count = std::min(lanes, block.columns.length - x);
        std::uint8_t* out = band + block.columns.start + x;
        for (int y = 0; y < rows.length; ++y, out += width) {
            write_best(rows_.weights(rows)[y], contenders_of(i)[0], block.contenders - 1, count, out);
        }
    }
}

// Everything is measured against the first contender, which spares its interpolation.
void Postprocessor::fill_leads(const Run& rows, std::size_t i, const float* weights) {
    const Block& block = contested_[i];
    const std::uint8_t* const ids = contenders_of(i);
    const Corners first = at_corners(ids[0], rows, block.columns);
    for (int n = 1; n < block.contenders; ++n) {
        Corners ahead = at_corners(ids[n], rows, block.columns);
        for (std::size_t j = 0; j < ahead.size(); ++j) {
            ahead[j] -= first[j];
        }
        Lead& lead = leads_[static_cast<std::size_t>(n - 1)];
        lead.id = ids[n];
        AFFORMER_KEEP_LOOP
        for (std::size_t x = 0; x < lanes; ++x) {
            const float top = weights[x] * (ahead[1] - ahead[0]) + ahead[0];
            const float bottom = weights[x] * (ahead[3] - ahead[2]) + ahead[2];
            lead.top[x] = top;
            lead.slope[x] = bottom - top;
        }
    }
}

// The best class of `count` neighbouring pixels of one row.
void Postprocessor::write_best(float weight, std::int32_t first, int others, int count, std::uint8_t* out) const {
    std::array<float, lanes> best{};
    std::array<std::int32_t, lanes> id;
    id.fill(first);
    for (int n = 0; n < others; ++n) {
        const Lead& lead = leads_[static_cast<std::size_t>(n)];
        AFFORMER_KEEP_LOOP
        for (std::size_t x = 0; x < lanes; ++x) {
            const float value = weight * lead.slope[x] + lead.top[x];
            id[x] = choose(value > best[x], lead.id, id[x]);
            best[x] = std::max(best[x], value);
        }
    }
    std::array<std::uint8_t, lanes> bytes;
    for (std::size_t x = 0; x < lanes; ++x) {
        bytes[x] = static_cast<std::uint8_t>(id[x]);
    }
    std::memcpy(out, bytes.data(), static_cast<std::size_t>(count));
}

}  // namespace afformer::core
