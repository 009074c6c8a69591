// TensorRT 10.3 to 11 as a backend: an engine file on the GPU that it was built for.
//
// Only calls that both major versions have; the program is linked with libnvinfer and libcudart.
#pragma once

#include <NvInferRuntime.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "backend.hpp"
#include "cuda.hpp"
#include "engine_file.hpp"
#include "errors.hpp"
#include "options.hpp"
#include "spec.hpp"

static_assert(NV_TENSORRT_MAJOR > 10 || (NV_TENSORRT_MAJOR == 10 && NV_TENSORRT_MINOR >= 3),
              "the headers are those of a TensorRT older than 10.3");

namespace afformer {
namespace detail {

// What TensorRT complained of. It keeps the first logger it is given for as long as the process lives, so there is one,
// which is never destroyed.
class TensorRtJournal final : public nvinfer1::ILogger {
public:
    static TensorRtJournal& instance() {
        static auto* const journal = new TensorRtJournal;
        return *journal;
    }

    // Keeps the first complaint, the cause of those that follow it. Does not allocate: it must not throw.
    void log(Severity severity, const char* message) noexcept override {
        if (severity != Severity::kERROR && severity != Severity::kINTERNAL_ERROR) {
            return;
        }
        const std::lock_guard<std::mutex> lock(mutex_);
        if (kept_[0] == '\0') {
            kept_[std::string_view(message).copy(kept_, sizeof kept_ - 1)] = '\0';
        }
    }

    void clear() noexcept {
        const std::lock_guard<std::mutex> lock(mutex_);
        kept_[0] = '\0';
    }

    // The first complaint since the last `clear`, in one line.
    [[nodiscard]] std::string reason() {
        const std::lock_guard<std::mutex> lock(mutex_);
        std::string line;
        for (const char* c = kept_; *c != '\0'; ++c) {
            const bool blank = *c == ' ' || (*c >= '\t' && *c <= '\r');
            if (!blank || (!line.empty() && line.back() != ' ')) {
                line += blank ? ' ' : *c;
            }
        }
        line.erase(line.find_last_not_of(' ') + 1);
        return line.empty() ? "TensorRT gives no reason" : line;
    }

private:
    TensorRtJournal() = default;

    std::mutex mutex_;
    char kept_[1024] = {};
};

// Of the library that runs, which may be newer than the headers.
inline std::string tensorrt_version() {
    const std::int32_t number = getInferLibVersion();
    return std::to_string(number / 10000) + "." + std::to_string(number / 100 % 100) + "." +
           std::to_string(number % 100);
}

inline const char* tensorrt_type_name(nvinfer1::DataType type) noexcept {
    switch (type) {
        case nvinfer1::DataType::kFLOAT: return "float";
        case nvinfer1::DataType::kHALF: return "float16";
        case nvinfer1::DataType::kINT8: return "int8";
        case nvinfer1::DataType::kINT32: return "int32";
        case nvinfer1::DataType::kUINT8: return "uint8";
        default: return "another type";
    }
}

// A tensor as people write it, `image float[1, 3, 360, 480]`.
inline std::string tensorrt_tensor_text(const std::string& name, const char* type,
                                        const std::vector<std::int64_t>& shape) {
    std::string text = name + " " + type + "[";
    for (std::size_t i = 0; i < shape.size(); ++i) {
        text += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
    }
    return text + "]";
}

// The tensors that an engine must have to keep its spec's promise.
inline std::string tensorrt_expected(const ModelSpec& spec) {
    const std::int64_t batch = spec.batch, height = spec.input.height, width = spec.input.width;
    const Size grid = spec.logits_size();
    const std::string input = spec.input_kind == InputKind::uint8
                                  ? tensorrt_tensor_text("image", "uint8", {batch, height, width, 3})
                                  : tensorrt_tensor_text("image", "float", {batch, 3, height, width});
    const std::string output =
        spec.output_kind == OutputKind::classmap
            ? tensorrt_tensor_text("classmap", "uint8", {batch, height, width})
            : tensorrt_tensor_text("logits", "float", {batch, spec.num_classes(), grid.height, grid.width});
    return input + ", " + output;
}

inline std::string tensorrt_found(const nvinfer1::ICudaEngine& engine) {
    std::string found;
    for (std::int32_t i = 0; i < engine.getNbIOTensors(); ++i) {
        const char* name = engine.getIOTensorName(i);
        const nvinfer1::Dims dims = engine.getTensorShape(name);
        const std::vector<std::int64_t> shape(dims.d, dims.d + (dims.nbDims > 0 ? dims.nbDims : 0));
        found += (i == 0 ? "" : ", ") +
                 tensorrt_tensor_text(name, tensorrt_type_name(engine.getTensorDataType(name)), shape);
    }
    return found;
}

}  // namespace detail

// An engine of `afformer-cli engine`, with the JSON beside it, on the calling thread's current GPU.
//
// Buffers are bound once, and the copies to and from the GPU and the network between them are one CUDA graph. Where
// that cannot be recorded, they are queued one by one; `description` says so.
//
// An engine is a program: run only those that you built yourself or trust.
class TensorRtBackend final : public Backend {
public:
    // Throws Error(backend) if the driver, the GPU or TensorRT is missing, or not what the engine was built with, or if
    // the device is not CUDA; Error(spec) if the JSON is not there, or cannot be read. Threads are of no use to a GPU.
    explicit TensorRtBackend(const std::filesystem::path& path, const Options& options = {}) : path_(path.string()) {
        detail::check_threads(options.threads);
        std::error_code problem;
        if (!std::filesystem::is_regular_file(path, problem)) {
            throw Error(ErrorCode::backend, path_ + ": no such engine file");
        }
        if (options.device.value_or(Device::cuda) != Device::cuda) {
            throw Error(ErrorCode::backend, path_ + ": a TensorRT engine runs on an NVIDIA GPU, not on the cpu; choose "
                                                    "the device cuda");
        }
        const EngineFile file = EngineFile::beside(path);
        spec_ = file.spec;
        const Gpu gpu = cuda::current_gpu();
        const std::string version = detail::tensorrt_version();
        file.require_fit(path, version, gpu);
        load(path, file);
        const std::string expected = detail::tensorrt_expected(spec_), found = detail::tensorrt_found(*engine_);
        if (found != expected) {
            throw Error(ErrorCode::backend, path_ + ": differs from its own spec: expected the tensors " + expected +
                                                ", but the engine has " + found + "; build it again");
        }
        bind();
        description_ = "TensorRT " + version + ", cuda, " + gpu.name + ", " + spec_.precision + ", " + record();
    }

    [[nodiscard]] const ModelSpec& spec() const noexcept override { return spec_; }
    [[nodiscard]] const std::string& description() const noexcept override { return description_; }
    [[nodiscard]] void* input() noexcept override { return host_input_.get(); }

    const void* run() override {
        if (graph_ != nullptr) {
            cuda::check(cudaGraphLaunch(graph_.get(), stream_.get()), "run the engine");
        } else {
            queue();
        }
        finish();
        return host_output_.get();
    }

private:
    void load(const std::filesystem::path& path, const EngineFile& file) {
        const std::string plan = file.read_plan(path);
        journal_.clear();
        runtime_.reset(nvinfer1::createInferRuntime(journal_));
        if (runtime_ == nullptr) {
            fail("TensorRT cannot start", "; build the program with the headers of the TensorRT that it runs with");
        }
        if (file.version_compatible) {
            runtime_->setEngineHostCodeAllowed(true);  // such a plan brings a small runtime of its own version along
        }
        engine_.reset(runtime_->deserializeCudaEngine(plan.data(), plan.size()));
        if (engine_ == nullptr) {
            fail("TensorRT cannot load it", "; build it again on this machine");
        }
        context_.reset(engine_->createExecutionContext());
        if (context_ == nullptr) {
            fail("TensorRT cannot set it up", "; free GPU memory");
        }
    }

    void bind() {
        stream_ = cuda::stream();
        host_input_ = cuda::host_buffer(spec_.input_bytes());
        host_output_ = cuda::host_buffer(spec_.output_bytes());
        device_input_ = cuda::device_buffer(spec_.input_bytes());
        device_output_ = cuda::device_buffer(spec_.output_bytes());
        const char* output = spec_.output_kind == OutputKind::classmap ? "classmap" : "logits";
        journal_.clear();
        if (!context_->setTensorAddress("image", device_input_.get()) ||
            !context_->setTensorAddress(output, device_output_.get())) {
            fail("TensorRT takes no memory for its tensors", "; build it again");
        }
    }

    // Makes the graph, and tells whether there is one. The first run cannot be recorded: TensorRT sets itself up in it.
    [[nodiscard]] std::string record() {
        queue();
        finish();
        try {
            graph_ = cuda::capture(stream_.get(), [this] { queue(); });
        } catch (const Error& error) {
            return std::string("no CUDA graph (") + error.what() + ")";
        }
        return "CUDA graph";
    }

    // One run: the input to the GPU, the network, the output back.
    void queue() {
        cuda::check(cudaMemcpyAsync(device_input_.get(), host_input_.get(), spec_.input_bytes(), cudaMemcpyHostToDevice,
                                    stream_.get()),
                    "copy the input to the GPU");
        journal_.clear();
        if (!context_->enqueueV3(stream_.get())) {
            fail("the engine failed", "");
        }
        cuda::check(cudaMemcpyAsync(host_output_.get(), device_output_.get(), spec_.output_bytes(),
                                    cudaMemcpyDeviceToHost, stream_.get()),
                    "copy the output from the GPU");
    }

    void finish() { cuda::check(cudaStreamSynchronize(stream_.get()), "finish the engine's run"); }

    [[noreturn]] void fail(const std::string& what, const std::string& remedy) {
        throw Error(ErrorCode::backend, path_ + ": " + what + " (" + journal_.reason() + ")" + remedy);
    }

    detail::TensorRtJournal& journal_ = detail::TensorRtJournal::instance();
    std::string path_, description_;
    ModelSpec spec_;
    // In order of creation: each is destroyed before what it was made from.
    std::unique_ptr<nvinfer1::IRuntime> runtime_;
    std::unique_ptr<nvinfer1::ICudaEngine> engine_;
    std::unique_ptr<nvinfer1::IExecutionContext> context_;
    cuda::HostBuffer host_input_, host_output_;
    cuda::DeviceBuffer device_input_, device_output_;
    cuda::Stream stream_;
    cuda::Graph graph_;
};

[[nodiscard]] inline std::unique_ptr<Backend> open_tensorrt(const std::filesystem::path& engine,
                                                            const Options& options = {}) {
    return std::make_unique<TensorRtBackend>(engine, options);
}

}  // namespace afformer
