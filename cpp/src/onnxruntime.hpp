// ONNX Runtime as a backend, on the CPU or, when asked, on CUDA.
#pragma once

#include <afformer/options.hpp>
#include <memory>

#include "model.hpp"
#include "origin.hpp"

namespace afformer::core {

// A model of this project's export on ONNX Runtime 1.11 or newer. Throws Error(backend) if there is no usable ONNX
// Runtime or device, if the file is missing, no ONNX model, INT8 for CUDA, or differs from its spec; Error(spec) if it
// has no readable spec.
[[nodiscard]] std::unique_ptr<Model> open_onnxruntime(const Origin& origin, const Options& options);

}  // namespace afformer::core
