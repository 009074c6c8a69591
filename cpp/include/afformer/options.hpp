// What the user of a model may choose.
#pragma once

#include <filesystem>
#include <optional>

namespace afformer {

enum class Device { cpu, cuda };

// How a picture is brought to the model's input size.
enum class Fit {
    stretch,  // resized to the input size, whatever its aspect ratio
    pad,      // resized inside it with its aspect ratio kept, then padded at the right or bottom with the mean
};

struct Options {
    std::optional<Device> device;  // left out: the CPU for ONNX models, the GPU for engines
    int threads = 0;               // CPU threads inside one operator; 0 leaves the choice to the backend
    Fit fit = Fit::stretch;
    // The ONNX Runtime to load at run time. If empty: the environment variable AFFORMER_ONNXRUNTIME, else the system's.
    // A library that was linked with ONNX Runtime has it already, and refuses another one.
    std::filesystem::path library;
};

}  // namespace afformer
