#include "open.hpp"

#include <afformer/errors.hpp>
#include <algorithm>
#include <cctype>

#include "onnxruntime.hpp"
#include "origin.hpp"
#include "text.hpp"
#if defined(AFFORMER_WITH_TENSORRT)
#include "tensorrt/tensorrt.hpp"
#endif

namespace afformer::core {
namespace {

// `json`: null if it lies beside the file.
std::unique_ptr<Model> open_on_tensorrt(const Origin& engine, const std::string* json, const Options& options) {
#if defined(AFFORMER_WITH_TENSORRT)
    return open_tensorrt(engine, json, options);
#else
    static_cast<void>(json), static_cast<void>(options);
    throw Error(ErrorCode::backend, engine.name +
                                        ": is a TensorRT engine, but this library was built without TensorRT; build it "
                                        "with -DAFFORMER_WITH_TENSORRT=ON, or open the .onnx file");
#endif
}

}  // namespace

std::unique_ptr<Model> open_file(const std::filesystem::path& model, const Options& options) {
    const Origin file = Origin::file(model);
    std::string ending = text_of(model.extension());
    std::transform(ending.begin(), ending.end(), ending.begin(), [](unsigned char c) { return std::tolower(c); });
    if (ending == ".onnx") {
        return open_onnxruntime(file, options);
    }
    if (ending == ".engine" || ending == ".plan") {
        return open_on_tensorrt(file, nullptr, options);
    }
    throw Error(ErrorCode::backend, file.name + ": no backend opens '" + text_of(model.extension()) +
                                        "' files; known endings: .onnx, .engine, .plan");
}

std::unique_ptr<Model> open_onnx(const void* model, std::size_t size, const Options& options) {
    return open_onnxruntime(Origin::memory("model", model, size), options);
}

std::unique_ptr<Model> open_engine(const void* engine, std::size_t size, const std::string& json,
                                   const Options& options) {
    return open_on_tensorrt(Origin::memory("engine", engine, size), &json, options);
}

}  // namespace afformer::core
