// TensorRT 10.3 to 11 as a backend: an engine on the GPU that it was built for.
//
// Only calls that both major versions have; linked with libnvinfer and libcudart.
#pragma once

#include <afformer/options.hpp>
#include <memory>
#include <string>

#include "../model.hpp"
#include "../origin.hpp"

namespace afformer::core {

// An engine of `afformer-cli engine`, on the calling thread's current GPU. `json`: the text that lies beside the
// engine's file; null to read it there.
//
// An engine is a program: run only those that you built yourself or trust.
//
// Throws Error(backend) if the driver, the GPU or TensorRT is missing, or not what the engine was built with, or if the
// device is not CUDA; Error(spec) if the JSON is not there, or cannot be read. `options.threads` is of no use to a GPU.
[[nodiscard]] std::unique_ptr<Model> open_tensorrt(const Origin& origin, const std::string* json,
                                                   const Options& options);

}  // namespace afformer::core
