// `Segmenter`: from a picture to its class map, with nothing but a model file.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "backend.hpp"
#include "errors.hpp"
#include "image.hpp"
#include "open.hpp"
#include "options.hpp"
#include "postprocess.hpp"
#include "preprocess.hpp"

namespace afformer {
namespace detail {

// Whether none of `count` values is infinite or NaN. On the bits, since -ffast-math may compile isfinite() away.
inline bool all_finite(const float* values, std::size_t count) noexcept {
    constexpr std::uint32_t exponent = 0x7F800000U;
    std::uint32_t worst = 0;
    for (std::size_t i = 0; i < count; ++i) {
        std::uint32_t bits = 0;
        std::memcpy(&bits, values + i, sizeof bits);
        worst |= static_cast<std::uint32_t>((bits & exponent) == exponent);
    }
    return worst == 0;
}

}  // namespace detail

// Segments pictures of any size. Holds work buffers, so one segmenter serves one thread; it can be moved.
class Segmenter {
public:
    // Throws Error(backend) if the model cannot be opened, Error(spec) if it has no readable spec.
    explicit Segmenter(const std::filesystem::path& model, const Options& options = {})
        : Segmenter(open_backend(model, options), options.fit) {}

    // On an engine of the caller's.
    explicit Segmenter(std::unique_ptr<Backend> backend, Fit fit = Fit::stretch)
        : backend_(std::move(backend)), prepare_(checked(backend_.get()).spec(), fit) {
        prepared_.resize(static_cast<std::size_t>(spec().batch));
        row_bytes_ = spec().input_bytes() / prepared_.size();
    }

    // What the model says of itself.
    [[nodiscard]] const ModelSpec& spec() const noexcept { return backend_->spec(); }
    // Engine, version and device, for people.
    [[nodiscard]] const std::string& description() const noexcept { return backend_->description(); }

    // The class map of one picture, at the picture's own size. Throws Error(backend) if the engine fails.
    [[nodiscard]] ClassMap operator()(const ImageView& picture) {
        ClassMap map;
        (*this)(picture, map);
        return map;
    }

    // The same in the memory of an earlier class map: with pictures of one size, nothing is allocated any more.
    void operator()(const ImageView& picture, ClassMap& map) { segment(&picture, 1, &map); }

    // The class maps of several pictures, of any sizes, as many at a time as the model's batch holds.
    [[nodiscard]] std::vector<ClassMap> batch(const std::vector<ImageView>& pictures) {
        std::vector<ClassMap> maps;
        batch(pictures, maps);
        return maps;
    }

    // The same in the memory of earlier class maps.
    void batch(const std::vector<ImageView>& pictures, std::vector<ClassMap>& maps) {
        maps.resize(pictures.size());
        for (std::size_t start = 0; start < pictures.size(); start += prepared_.size()) {
            const std::size_t count = std::min(prepared_.size(), pictures.size() - start);
            segment(pictures.data() + start, count, maps.data() + start);
        }
    }

    // The class map of one picture in memory of the caller's: `size.height * size.width` bytes, row by row without
    // gaps.
    void operator()(const ImageView& picture, std::uint8_t* ids, std::size_t length) {
        const std::size_t expected = pixels(picture.size);
        if (ids == nullptr || length != expected) {
            throw Error(ErrorCode::invalid_argument,
                        "the class map of a picture of " + std::to_string(picture.size.height) + "x" +
                            std::to_string(picture.size.width) + " takes " + std::to_string(expected) +
                            " bytes, but got " + (ids == nullptr ? "a null pointer" : std::to_string(length)));
        }
        answer(&picture, 1);
        write(0, ids);
    }

private:
    static const Backend& checked(const Backend* backend) {
        if (backend == nullptr) {
            throw Error(ErrorCode::invalid_argument, "a segmenter needs a backend, but got a null pointer");
        }
        return *backend;
    }

    static std::size_t pixels(Size size) noexcept {
        return static_cast<std::size_t>(size.height) * static_cast<std::size_t>(size.width);
    }

    void segment(const ImageView* pictures, std::size_t count, ClassMap* maps) {
        answer(pictures, count);
        for (std::size_t i = 0; i < count; ++i) {
            maps[i].ids.resize(pixels(pictures[i].size));
            maps[i].size = pictures[i].size;
            write(i, maps[i].ids.data());
        }
    }

    // Runs the model on `count` pictures; the rows behind repeat the first, as the batch is fixed.
    void answer(const ImageView* pictures, std::size_t count) {
        auto* rows = static_cast<std::uint8_t*>(backend_->input());
        for (std::size_t i = 0; i < count; ++i) {
            prepared_[i] = prepare_(pictures[i], rows + i * row_bytes_);
        }
        for (std::size_t i = count; i < prepared_.size(); ++i) {
            std::memcpy(rows + i * row_bytes_, rows, row_bytes_);
        }
        answer_ = backend_->run();
        if (spec().output_kind == OutputKind::logits &&
            !detail::all_finite(static_cast<const float*>(answer_), count * logits_in_row())) {
            throw Error(ErrorCode::backend,
                        description() + ": the model's logits are not finite; its numbers overflow");
        }
        if (spec().output_kind == OutputKind::classmap) {
            require_known_ids(static_cast<const std::uint8_t*>(answer_), count * pixels(spec().input));
        }
    }

    // A tensor's shape does not tell how many classes there are, and whoever looks one up trusts the ids.
    void require_known_ids(const std::uint8_t* ids, std::size_t length) const {
        const int largest = *std::max_element(ids, ids + length);
        if (largest >= spec().num_classes()) {
            throw Error(ErrorCode::backend, description() + ": differs from its own spec: class id " +
                                                std::to_string(largest) + ", but only " +
                                                std::to_string(spec().num_classes()) + " classes; export it again");
        }
    }

    [[nodiscard]] std::size_t logits_in_row() const noexcept {
        return pixels(spec().logits_size()) * static_cast<std::size_t>(spec().num_classes());
    }

    // The class map of the picture in one row of the model's answer.
    void write(std::size_t row, std::uint8_t* ids) {
        const Prepared& picture = prepared_[row];
        if (spec().output_kind == OutputKind::logits) {
            const float* logits = static_cast<const float*>(answer_) + row * logits_in_row();
            finish_.from_logits(logits, spec().num_classes(), spec().logits_size(), picture.span_y, picture.span_x,
                                picture.image, ids);
        } else {
            const auto* map = static_cast<const std::uint8_t*>(answer_) + row * pixels(spec().input);
            finish_.resize(map, spec().input, picture.covered, picture.image, ids);
        }
    }

    std::unique_ptr<Backend> backend_;
    Preprocessor prepare_;
    Postprocessor finish_;
    std::vector<Prepared> prepared_;
    std::size_t row_bytes_ = 0;
    const void* answer_ = nullptr;
};

}  // namespace afformer
