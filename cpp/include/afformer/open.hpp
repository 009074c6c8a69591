// A model file on the engine that its ending names.
#pragma once

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <memory>
#include <string>

#include "backend.hpp"
#include "errors.hpp"
#include "onnxruntime.hpp"
#include "options.hpp"
#if defined(AFFORMER_WITH_TENSORRT)
#include "tensorrt.hpp"
#endif

namespace afformer {
namespace detail {

inline std::unique_ptr<Backend> open_engine_file(const std::filesystem::path& model, const Options& options) {
#if defined(AFFORMER_WITH_TENSORRT)
    return open_tensorrt(model, options);
#else
    static_cast<void>(options);
    throw Error(ErrorCode::backend, model.string() +
                                        ": is a TensorRT engine, but this program was built without TensorRT; build it "
                                        "with -DAFFORMER_WITH_TENSORRT=ON, or open the .onnx file");
#endif
}

}  // namespace detail

// `.onnx` files run on ONNX Runtime, `.engine` and `.plan` files on TensorRT. Throws Error(backend) or Error(spec).
[[nodiscard]] inline std::unique_ptr<Backend> open_backend(const std::filesystem::path& model,
                                                           const Options& options = {}) {
    std::string ending = model.extension().string();
    std::transform(ending.begin(), ending.end(), ending.begin(), [](unsigned char c) { return std::tolower(c); });
    if (ending == ".onnx") {
        return open_onnxruntime(model, options);
    }
    if (ending == ".engine" || ending == ".plan") {
        return detail::open_engine_file(model, options);
    }
    throw Error(ErrorCode::backend, model.string() + ": no backend opens '" + model.extension().string() +
                                        "' files; known endings: .onnx, .engine, .plan");
}

}  // namespace afformer
