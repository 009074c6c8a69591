// What the user of a model may choose.
#pragma once

#include <filesystem>

#include "backend.hpp"
#include "preprocess.hpp"

namespace afformer {

struct Options {
    Device device = Device::cpu;
    int threads = 0;  // CPU threads inside one operator; 0 leaves the choice to the engine
    Fit fit = Fit::stretch;
    // The ONNX Runtime to load at run time. If empty: the environment variable AFFORMER_ONNXRUNTIME, else the system's.
    // A program that is linked with ONNX Runtime has it already, and refuses another one.
    std::filesystem::path library;
};

}  // namespace afformer
