// The C interface: every exception ends here, as a status and a text.
#include <afformer/afformer.h>

#include <afformer/errors.hpp>
#include <afformer/image.hpp>
#include <afformer/options.hpp>
#include <cstddef>
#include <exception>
#include <filesystem>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "open.hpp"
#include "segmenter.hpp"
#include "text.hpp"

struct afformer_segmenter {
    afformer::core::Segmenter segment;
    afformer_spec spec;  // its texts are the segmenter's

    afformer_segmenter(std::unique_ptr<afformer::core::Model> model, afformer::Fit fit);
};

namespace {

using afformer::Error;
using afformer::ErrorCode;
using afformer::ImageView;

thread_local std::string kept_error;
// Points to `kept_error`, or to a constant where there is no memory for it.
thread_local const char* last_error = "";

afformer_status failed(afformer_status status, const char* text) noexcept {
    try {
        kept_error = text;
        last_error = kept_error.c_str();
    } catch (const std::bad_alloc&) {
        last_error = "out of memory, also for the text of this error";
    }
    return status;
}

template <typename Call>
afformer_status guarded(const Call& call) noexcept {
    try {
        call();
        return AFFORMER_OK;
    } catch (const Error& error) {
        return failed(static_cast<afformer_status>(error.code()), error.what());
    } catch (const std::bad_alloc&) {
        last_error = "out of memory";
        return AFFORMER_OUT_OF_MEMORY;
    } catch (const std::exception& error) {
        return failed(AFFORMER_INTERNAL, error.what());
    } catch (...) {
        return failed(AFFORMER_INTERNAL, "unknown exception");
    }
}

void require(bool condition, const char* otherwise) {
    if (!condition) {
        throw Error(ErrorCode::invalid_argument, otherwise);
    }
}

afformer::Options options_of(const afformer_options* given) {
    afformer::Options options;
    if (given == nullptr) {
        return options;
    }
    require(given->size == sizeof *given, "options.size must be sizeof(afformer_options); start with AFFORMER_OPTIONS");
    require(given->device >= AFFORMER_AUTO && given->device <= AFFORMER_CUDA,
            "options.device must be an afformer_device");
    require(given->fit == AFFORMER_STRETCH || given->fit == AFFORMER_PAD, "options.fit must be an afformer_fit");
    if (given->device != AFFORMER_AUTO) {
        options.device = given->device == AFFORMER_CUDA ? afformer::Device::cuda : afformer::Device::cpu;
    }
    options.threads = given->threads;
    options.fit = given->fit == AFFORMER_PAD ? afformer::Fit::pad : afformer::Fit::stretch;
    if (given->library != nullptr) {
        options.library = std::filesystem::u8path(given->library);
    }
    return options;
}

// `open(options)` gives the model.
template <typename Open>
afformer_status opened(const void* model, const afformer_options* options, afformer_segmenter** segmenter,
                       const Open& open) noexcept {
    return guarded([&] {
        require(segmenter != nullptr, "segmenter must not be NULL");
        *segmenter = nullptr;
        require(model != nullptr, "model must not be NULL");
        const afformer::Options chosen = options_of(options);
        *segmenter = new afformer_segmenter(open(chosen), chosen.fit);
    });
}

ImageView view_of(const afformer_image& image) {
    require(image.data != nullptr, "data must not be NULL");
    require(image.order == AFFORMER_RGB || image.order == AFFORMER_BGR, "order must be an afformer_order");
    const auto order = image.order == AFFORMER_BGR ? afformer::ColorOrder::bgr : afformer::ColorOrder::rgb;
    return {image.data, image.height, image.width, image.stride, order};
}

void require_room(afformer::Size size, const std::uint8_t* ids, std::size_t length) {
    const std::size_t expected = static_cast<std::size_t>(size.height) * static_cast<std::size_t>(size.width);
    if (ids == nullptr || length != expected) {
        throw Error(ErrorCode::invalid_argument, "the class map of a picture of " + afformer::core::text_of(size) +
                                                     " takes " + std::to_string(expected) + " bytes, but got " +
                                                     (ids == nullptr ? "a null pointer" : std::to_string(length)));
    }
}

bool has_class(const afformer_segmenter* segmenter, int id) noexcept {
    return segmenter != nullptr && id >= 0 && id < segmenter->segment.spec().num_classes();
}

}  // namespace

afformer_segmenter::afformer_segmenter(std::unique_ptr<afformer::core::Model> model, afformer::Fit fit)
    : segment(std::move(model), fit), spec{} {
    const afformer::ModelSpec& from = segment.spec();
    spec.variant = from.variant.c_str();
    spec.dataset = from.dataset.c_str();
    spec.precision = from.precision.c_str();
    spec.checkpoint_sha256 = from.checkpoint_sha256.c_str();
    spec.height = from.input.height;
    spec.width = from.input.width;
    spec.batch = from.batch;
    spec.num_classes = from.num_classes();
    spec.takes_bytes = from.input_kind == afformer::InputKind::uint8 ? 1 : 0;
    spec.takes_bgr = from.color_order == afformer::ColorOrder::bgr ? 1 : 0;
    spec.gives_classmap = from.output_kind == afformer::OutputKind::classmap ? 1 : 0;
    for (std::size_t c = 0; c < 3; ++c) {
        spec.mean[c] = from.mean[c];
        spec.std[c] = from.std[c];
    }
}

afformer_status afformer_open(const char* model, const afformer_options* options, afformer_segmenter** segmenter) {
    return opened(model, options, segmenter, [&](const afformer::Options& chosen) {
        return afformer::core::open_file(std::filesystem::u8path(model), chosen);
    });
}

afformer_status afformer_open_onnx(const void* model, size_t size, const afformer_options* options,
                                   afformer_segmenter** segmenter) {
    return opened(model, options, segmenter,
                  [&](const afformer::Options& chosen) { return afformer::core::open_onnx(model, size, chosen); });
}

afformer_status afformer_open_engine(const void* engine, size_t size, const char* json, const afformer_options* options,
                                     afformer_segmenter** segmenter) {
    return opened(engine, options, segmenter, [&](const afformer::Options& chosen) {
        require(json != nullptr, "json must not be NULL");
        return afformer::core::open_engine(engine, size, json, chosen);
    });
}

void afformer_close(afformer_segmenter* segmenter) { delete segmenter; }

afformer_status afformer_segment(afformer_segmenter* segmenter, const uint8_t* data, int height, int width,
                                 ptrdiff_t stride, int order, uint8_t* ids, size_t length) {
    return guarded([=] {
        require(segmenter != nullptr, "segmenter must not be NULL");
        const ImageView picture = view_of({data, height, width, stride, order});
        require_room(picture.size, ids, length);
        segmenter->segment(&picture, &ids, 1);
    });
}

afformer_status afformer_segment_batch(afformer_segmenter* segmenter, const afformer_image* images,
                                       const afformer_classmap* classmaps, size_t count) {
    return guarded([=] {
        require(segmenter != nullptr, "segmenter must not be NULL");
        require(count == 0 || (images != nullptr && classmaps != nullptr), "images and classmaps must not be NULL");
        std::vector<ImageView> pictures;
        std::vector<std::uint8_t*> ids;
        pictures.reserve(count);
        ids.reserve(count);
        for (std::size_t i = 0; i < count; ++i) {
            pictures.push_back(view_of(images[i]));
            require_room(pictures.back().size, classmaps[i].ids, classmaps[i].length);
            ids.push_back(classmaps[i].ids);
        }
        segmenter->segment(pictures.data(), ids.data(), count);
    });
}

const char* afformer_last_error(void) { return last_error; }

int afformer_num_classes(const afformer_segmenter* segmenter) {
    return segmenter != nullptr ? segmenter->spec.num_classes : 0;
}

const char* afformer_class_name(const afformer_segmenter* segmenter, int id) {
    return has_class(segmenter, id) ? segmenter->segment.spec().classes[static_cast<std::size_t>(id)].c_str() : nullptr;
}

const uint8_t* afformer_class_color(const afformer_segmenter* segmenter, int id) {
    return has_class(segmenter, id) ? segmenter->segment.spec().palette[static_cast<std::size_t>(id)].data() : nullptr;
}

int afformer_input_height(const afformer_segmenter* segmenter) {
    return segmenter != nullptr ? segmenter->spec.height : 0;
}

int afformer_input_width(const afformer_segmenter* segmenter) {
    return segmenter != nullptr ? segmenter->spec.width : 0;
}

const char* afformer_description(const afformer_segmenter* segmenter) {
    return segmenter != nullptr ? segmenter->segment.description().c_str() : nullptr;
}

const afformer_spec* afformer_get_spec(const afformer_segmenter* segmenter) {
    return segmenter != nullptr ? &segmenter->spec : nullptr;
}

const char* afformer_spec_json(const afformer_segmenter* segmenter) {
    return segmenter != nullptr ? segmenter->segment.spec().json.c_str() : nullptr;
}

const char* afformer_version(void) { return AFFORMER_VERSION; }
