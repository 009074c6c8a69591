// What the user of a model may choose.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <thread>

#include "backend.hpp"
#include "errors.hpp"
#include "preprocess.hpp"

namespace afformer {

struct Options {
    std::optional<Device> device;  // left out: the CPU for .onnx files, the GPU for engines
    int threads = 0;               // CPU threads inside one operator; 0 leaves the choice to the engine
    Fit fit = Fit::stretch;
    // The ONNX Runtime to load at run time. If empty: the environment variable AFFORMER_ONNXRUNTIME, else the system's.
    // A program that is linked with ONNX Runtime has it already, and refuses another one.
    std::filesystem::path library;
};

namespace detail {

// Refuses thread counts before an engine starts them: so many would only stand in each other's way.
inline void check_threads(int threads) {
    if (threads < 0) {
        throw Error(ErrorCode::backend, "threads must be 0 (automatic) or more, got " + std::to_string(threads));
    }
    const unsigned cores = std::thread::hardware_concurrency();
    const int most = 4 * static_cast<int>(cores != 0 ? cores : 1);
    if (threads > most) {
        throw Error(ErrorCode::backend, std::to_string(threads) +
                                            " threads are too many for this machine; expected 0 (automatic) to " +
                                            std::to_string(most));
    }
}

}  // namespace detail
}  // namespace afformer
