// Exactly `argmax(bilinear(logits))` at the picture's size, without ever building the full-size logits.
//
// Between four neighbouring cell centres, bilinear interpolation is a convex combination of the four cells. With
// L[k, j] the logit of class k at corner j of such a block, and v_k its interpolated value anywhere inside,
//
//     min_j L[k, j]  <=  v_k  <=  max_j L[k, j]
//
// 1. If all four corners have the same winner, it wins everywhere in the block: no interpolation.
// 2. Otherwise `bound`, the maximum of min_j L[m, j] over the corners' winners m, is reached everywhere in the block,
//    so a class k with max_j L[k, j] < bound wins nowhere in it.
// 3. v_k - v_m is a convex combination of its values at the corners, too. So a class that is below the winner m of some
//    corner at all four corners wins nowhere in the block. Two or three are left, and only these are interpolated.
//
// Ties go to the lowest class id: all steps drop only classes that are strictly below the winner.
#pragma once

#include <afformer/image.hpp>
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "axis.hpp"
#include "nearest.hpp"

namespace afformer::core {

// Makes class maps of the model's answers. Keeps its tables and work arrays: nothing is allocated as long as the sizes
// stay. Serves one thread.
class Postprocessor {
public:
    // Class map of a picture from its logits: bilinear to `out` (align_corners=False, edges repeated), then argmax.
    //
    // `logits`: `(classes, grid.height, grid.width)`, finite. `span_y`, `span_x`: the part of the grid that the picture
    // covers, from the top left corner, in cells. `ids`: where to write the `(out.height, out.width)` class ids.
    // Throws Error(invalid_argument): an empty size, more than 256 classes, a span outside the grid.
    void from_logits(const float* logits, int classes, Size grid, double span_y, double span_x, Size out,
                     std::uint8_t* ids);

    // The top left part of a class map at another size, each pixel taking the class of the nearest one (pixel centres
    // aligned).
    //
    // `classmap`: `(size.height, size.width)` class ids. `covered`: the part of it to take. `ids`: where to write the
    // `(out.height, out.width)` class ids; apart from `classmap`. Throws Error(invalid_argument): an empty size, or a
    // part that is larger than the map.
    void resize(const std::uint8_t* classmap, Size size, Size covered, Size out, std::uint8_t* ids);

private:
    using Corners = std::array<float, 4>;  // top left, top right, bottom left, bottom right

    // A block whose corners have different winners.
    struct Block {
        Run columns{};
        std::array<Corners, 4> rivals{};  // the logits of each corner's winner, at the corners
        float bound = 0;
        int contenders = 0;
    };

    // What a class has more than the first contender, in some columns: `top + weight of the row * slope`.
    struct Lead {
        std::array<float, lanes> top;
        std::array<float, lanes> slope;
        std::int32_t id;
    };

    void make_room();
    void find_winners();
    void paint(const Run& rows, int width, std::uint8_t* band);
    [[nodiscard]] Block contest(const Run& rows, const Run& run) const;
    void find_contenders(const Run& rows);
    [[nodiscard]] static bool unbeaten(const Corners& own, const Block& block);
    void resolve(const Run& rows, std::size_t i, std::uint8_t* band, int width);
    void fill_leads(const Run& rows, std::size_t i, const float* weights);
    void write_best(float weight, std::int32_t first, int others, int count, std::uint8_t* out) const;

    [[nodiscard]] std::size_t cells() const noexcept { return cell(grid_.height, 0); }

    [[nodiscard]] std::size_t cell(int row, int column) const noexcept {
        return static_cast<std::size_t>(row) * static_cast<std::size_t>(grid_.width) + static_cast<std::size_t>(column);
    }

    [[nodiscard]] const float* plane_of(std::int32_t id) const noexcept {
        return logits_ + static_cast<std::size_t>(id) * cells();
    }

    [[nodiscard]] Corners at_corners(std::int32_t id, const Run& rows, const Run& columns) const {
        const float* const top = plane_of(id) + cell(rows.before, 0);
        const float* const bottom = plane_of(id) + cell(rows.after, 0);
        return {top[columns.before], top[columns.after], bottom[columns.before], bottom[columns.after]};
    }

    [[nodiscard]] std::uint8_t* contenders_of(std::size_t block) noexcept {
        return contenders_.data() + block * static_cast<std::size_t>(classes_);
    }

    const float* logits_ = nullptr;  // of the call under way, as the next two
    int classes_ = 0;
    Size grid_;
    GridAxis rows_, columns_;
    std::vector<std::uint8_t> winner_;      // of each cell
    std::vector<Block> contested_;          // blocks of the band at hand
    std::vector<std::uint8_t> contenders_;  // room for `classes_` class ids a block
    std::vector<float> highest_;            // a class's maximum over the two rows of cells, at each column
    std::vector<Lead> leads_;               // of the block at hand
    NearestResizer nearest_;
};

}  // namespace afformer::core
