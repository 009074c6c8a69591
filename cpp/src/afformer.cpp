// The C interface: every exception ends here, as a status and a text.
#include <afformer/afformer.h>

#include <afformer/afformer.hpp>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <new>
#include <string>

struct afformer_segmenter {
    afformer::Segmenter segment;
};

namespace {

using afformer::Error;
using afformer::ErrorCode;

static_assert(AFFORMER_INVALID_ARGUMENT == static_cast<int>(ErrorCode::invalid_argument));
static_assert(AFFORMER_IMAGE == static_cast<int>(ErrorCode::image));
static_assert(AFFORMER_SPEC == static_cast<int>(ErrorCode::spec));
static_assert(AFFORMER_BACKEND == static_cast<int>(ErrorCode::backend));

// Of a fixed size, since it must hold a text when there is no memory left.
thread_local char last_error[2048] = "";

afformer_status failed(afformer_status status, const char* text) noexcept {
    std::snprintf(last_error, sizeof last_error, "%s", text);
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
        return failed(AFFORMER_OUT_OF_MEMORY, "out of memory");
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

std::filesystem::path path_of(const char* utf8) { return std::filesystem::u8path(utf8); }

afformer::Options options_of(const afformer_options& given) {
    require(given.size == sizeof given, "options.size must be sizeof(afformer_options); start with AFFORMER_OPTIONS");
    require(given.device >= AFFORMER_AUTO && given.device <= AFFORMER_CUDA,
            "options.device must be an afformer_device");
    require(given.fit == AFFORMER_STRETCH || given.fit == AFFORMER_PAD, "options.fit must be an afformer_fit");
    afformer::Options options;
    if (given.device != AFFORMER_AUTO) {
        options.device = given.device == AFFORMER_CUDA ? afformer::Device::cuda : afformer::Device::cpu;
    }
    options.threads = given.threads;
    options.fit = given.fit == AFFORMER_PAD ? afformer::Fit::pad : afformer::Fit::stretch;
    if (given.library != nullptr) {
        options.library = path_of(given.library);
    }
    return options;
}

bool has_class(const afformer_segmenter* segmenter, int id) noexcept {
    return segmenter != nullptr && id >= 0 && id < segmenter->segment.spec().num_classes();
}

}  // namespace

afformer_status afformer_open(const char* model, const afformer_options* options, afformer_segmenter** segmenter) {
    return guarded([=] {
        require(segmenter != nullptr, "segmenter must not be NULL");
        *segmenter = nullptr;
        require(model != nullptr, "model must not be NULL");
        const afformer::Options chosen = options != nullptr ? options_of(*options) : afformer::Options{};
        *segmenter = new afformer_segmenter{afformer::Segmenter(path_of(model), chosen)};
    });
}

void afformer_close(afformer_segmenter* segmenter) { delete segmenter; }

afformer_status afformer_segment(afformer_segmenter* segmenter, const uint8_t* data, int height, int width,
                                 ptrdiff_t stride, int order, uint8_t* ids, size_t length) {
    return guarded([=] {
        require(segmenter != nullptr, "segmenter must not be NULL");
        require(data != nullptr, "data must not be NULL");
        require(order == AFFORMER_RGB || order == AFFORMER_BGR, "order must be an afformer_order");
        const auto colors = order == AFFORMER_BGR ? afformer::ColorOrder::bgr : afformer::ColorOrder::rgb;
        segmenter->segment(afformer::ImageView(data, height, width, stride, colors), ids, length);
    });
}

const char* afformer_last_error(void) { return last_error; }

int afformer_num_classes(const afformer_segmenter* segmenter) {
    return segmenter != nullptr ? segmenter->segment.spec().num_classes() : 0;
}

const char* afformer_class_name(const afformer_segmenter* segmenter, int id) {
    return has_class(segmenter, id) ? segmenter->segment.spec().classes[static_cast<std::size_t>(id)].c_str() : nullptr;
}

const uint8_t* afformer_class_color(const afformer_segmenter* segmenter, int id) {
    return has_class(segmenter, id) ? segmenter->segment.spec().palette[static_cast<std::size_t>(id)].data() : nullptr;
}

int afformer_input_height(const afformer_segmenter* segmenter) {
    return segmenter != nullptr ? segmenter->segment.spec().input.height : 0;
}

int afformer_input_width(const afformer_segmenter* segmenter) {
    return segmenter != nullptr ? segmenter->segment.spec().input.width : 0;
}

const char* afformer_description(const afformer_segmenter* segmenter) {
    return segmenter != nullptr ? segmenter->segment.description().c_str() : nullptr;
}

const char* afformer_spec_json(const afformer_segmenter* segmenter) {
    return segmenter != nullptr ? segmenter->segment.spec().json.c_str() : nullptr;
}

const char* afformer_version(void) { return AFFORMER_VERSION; }
