// A model on the backend that runs it.
#pragma once

#include <afformer/options.hpp>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>

#include "model.hpp"

namespace afformer::core {

// `.onnx` files run on ONNX Runtime, `.engine` and `.plan` files on TensorRT. Throws Error(backend) or Error(spec).
[[nodiscard]] std::unique_ptr<Model> open_file(const std::filesystem::path& model, const Options& options);

// An ONNX model in memory, on ONNX Runtime.
[[nodiscard]] std::unique_ptr<Model> open_onnx(const void* model, std::size_t size, const Options& options);

// An engine in memory, with the text of the JSON that lies beside its file, on TensorRT.
[[nodiscard]] std::unique_ptr<Model> open_engine(const void* engine, std::size_t size, const std::string& json,
                                                 const Options& options);

}  // namespace afformer::core
