// `Segmenter`: from a picture to its class map, with nothing but a model file. A thin cover over the C interface.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#include "afformer.h"
#include "errors.hpp"
#include "image.hpp"
#include "options.hpp"
#include "spec.hpp"

namespace afformer {
namespace detail {

inline void check(afformer_status status) {
    switch (status) {
        case AFFORMER_OK: return;
        case AFFORMER_OUT_OF_MEMORY: throw std::bad_alloc();
        case AFFORMER_INTERNAL: throw std::runtime_error(afformer_last_error());
        default: throw Error(static_cast<ErrorCode>(status), afformer_last_error());
    }
}

inline std::string utf8(const std::filesystem::path& path) {
    const auto text = path.u8string();  // from C++20 on, not a std::string
    return {text.begin(), text.end()};
}

inline int order_of(const ImageView& picture) noexcept {
    return picture.order == ColorOrder::bgr ? AFFORMER_BGR : AFFORMER_RGB;
}

inline ModelSpec spec_of(const afformer_segmenter* segmenter) {
    const afformer_spec& from = *afformer_get_spec(segmenter);
    ModelSpec spec;
    spec.variant = from.variant;
    spec.input = {from.height, from.width};
    for (int id = 0; id < from.num_classes; ++id) {
        const std::uint8_t* const color = afformer_class_color(segmenter, id);
        spec.classes.emplace_back(afformer_class_name(segmenter, id));
        spec.palette.push_back({color[0], color[1], color[2]});
    }
    spec.dataset = from.dataset;
    spec.batch = from.batch;
    spec.input_kind = from.takes_bytes != 0 ? InputKind::uint8 : InputKind::float32;
    spec.output_kind = from.gives_classmap != 0 ? OutputKind::classmap : OutputKind::logits;
    spec.precision = from.precision;
    spec.mean = {from.mean[0], from.mean[1], from.mean[2]};
    spec.std = {from.std[0], from.std[1], from.std[2]};
    spec.color_order = from.takes_bgr != 0 ? ColorOrder::bgr : ColorOrder::rgb;
    spec.checkpoint_sha256 = from.checkpoint_sha256;
    spec.json = afformer_spec_json(segmenter);
    return spec;
}

}  // namespace detail

// Segments pictures of any size. Any number of threads may use one segmenter at once. It can be moved.
class Segmenter {
public:
    // Opens a model file. Throws Error(backend): no such model, or its backend, library or device is missing;
    // Error(spec): it has no readable spec.
    explicit Segmenter(const std::filesystem::path& model, const Options& options = {})
        : Segmenter(opened(options, [path = detail::utf8(model)](const afformer_options* given, auto** segmenter) {
              return afformer_open(path.c_str(), given, segmenter);
          })) {}

    // Opens an ONNX model in memory, which may be freed afterwards.
    [[nodiscard]] static Segmenter from_onnx(const void* model, std::size_t size, const Options& options = {}) {
        return Segmenter(opened(options, [=](const afformer_options* given, auto** segmenter) {
            return afformer_open_onnx(model, size, given, segmenter);
        }));
    }

    // Opens a TensorRT engine in memory: the bytes of MODEL.engine and the text of MODEL.engine.json. Both may be freed
    // afterwards.
    [[nodiscard]] static Segmenter from_engine(const void* engine, std::size_t size, const std::string& json,
                                               const Options& options = {}) {
        return Segmenter(opened(options, [&](const afformer_options* given, auto** segmenter) {
            return afformer_open_engine(engine, size, json.c_str(), given, segmenter);
        }));
    }

    // What the model says about itself.
    [[nodiscard]] const ModelSpec& spec() const noexcept { return spec_; }
    // Backend, version and device, for people.
    [[nodiscard]] const std::string& description() const noexcept { return description_; }

    // The class map of one picture, at the picture's own size. Throws Error(backend) if the run fails.
    [[nodiscard]] ClassMap operator()(const ImageView& picture) const {
        ClassMap map;
        (*this)(picture, map);
        return map;
    }

    // The same in the memory of an earlier class map: with pictures of one size, nothing is allocated any more. If it
    // fails, the map is empty.
    void operator()(const ImageView& picture, ClassMap& map) const {
        picture.check();
        make_room(map, picture.size);
        try {
            (*this)(picture, map.ids.data(), map.ids.size());
        } catch (...) {
            make_room(map, {});
            throw;
        }
    }

    // The same in memory of the caller's: `size.height * size.width` bytes, row by row without gaps.
    void operator()(const ImageView& picture, std::uint8_t* ids, std::size_t length) const {
        picture.check();
        detail::check(afformer_segment(handle_.get(), picture.data, picture.size.height, picture.size.width,
                                       picture.stride, detail::order_of(picture), ids, length));
    }

    // The class maps of several pictures, of any sizes, as many at a time as the model's batch holds.
    [[nodiscard]] std::vector<ClassMap> batch(const std::vector<ImageView>& pictures) const {
        std::vector<ClassMap> maps;
        batch(pictures, maps);
        return maps;
    }

    // The same in the memory of earlier class maps. If it fails, their content is unspecified.
    void batch(const std::vector<ImageView>& pictures, std::vector<ClassMap>& maps) const {
        std::vector<afformer_image> images;
        std::vector<afformer_classmap> classmaps;
        maps.resize(pictures.size());
        for (std::size_t i = 0; i < pictures.size(); ++i) {
            const ImageView& picture = pictures[i];
            picture.check();
            make_room(maps[i], picture.size);
            images.push_back(
                {picture.data, picture.size.height, picture.size.width, picture.stride, detail::order_of(picture)});
            classmaps.push_back({maps[i].ids.data(), maps[i].ids.size()});
        }
        detail::check(afformer_segment_batch(handle_.get(), images.data(), classmaps.data(), images.size()));
    }

private:
    struct Close {
        void operator()(afformer_segmenter* segmenter) const noexcept { afformer_close(segmenter); }
    };
    using Handle = std::unique_ptr<afformer_segmenter, Close>;

    explicit Segmenter(Handle handle)
        : handle_(std::move(handle)),
          spec_(detail::spec_of(handle_.get())),
          description_(afformer_description(handle_.get())) {}

    template <typename Open>
    static Handle opened(const Options& options, const Open& open) {
        const std::string library = detail::utf8(options.library);
        afformer_options given = AFFORMER_OPTIONS;
        if (options.device) {
            given.device = *options.device == Device::cuda ? AFFORMER_CUDA : AFFORMER_CPU;
        }
        given.threads = options.threads;
        given.fit = options.fit == Fit::pad ? AFFORMER_PAD : AFFORMER_STRETCH;
        given.library = library.empty() ? nullptr : library.c_str();
        afformer_segmenter* segmenter = nullptr;
        detail::check(open(&given, &segmenter));
        return Handle(segmenter);
    }

    static void make_room(ClassMap& map, Size size) {
        map.ids.resize(static_cast<std::size_t>(size.height) * static_cast<std::size_t>(size.width));
        map.size = size;
    }

    Handle handle_;
    ModelSpec spec_;
    std::string description_;
};

}  // namespace afformer
