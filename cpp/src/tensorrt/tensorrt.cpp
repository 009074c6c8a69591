#include "tensorrt.hpp"

#include <NvInferRuntime.h>

#include <afformer/errors.hpp>
#include <cstdint>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

#include "../engine_info.hpp"
#include "../tensors.hpp"
#include "../text.hpp"
#include "../threads.hpp"
#include "cuda.hpp"
#include "journal.hpp"
#include "slot.hpp"

static_assert(NV_TENSORRT_MAJOR > 10 || (NV_TENSORRT_MAJOR == 10 && NV_TENSORRT_MINOR >= 3),
              "the headers are those of a TensorRT older than 10.3");

namespace afformer::core {
namespace {

// Of the library that runs, which may be newer than the headers.
std::string tensorrt_version() {
    const std::int32_t number = getInferLibVersion();
    return std::to_string(number / 10000) + "." + std::to_string(number / 100 % 100) + "." +
           std::to_string(number % 100);
}

const char* type_name(nvinfer1::DataType type) noexcept {
    switch (type) {
        case nvinfer1::DataType::kFLOAT: return "float32";
        case nvinfer1::DataType::kHALF: return "float16";
        case nvinfer1::DataType::kINT8: return "int8";
        case nvinfer1::DataType::kINT32: return "int32";
        case nvinfer1::DataType::kUINT8: return "uint8";
        default: return "another type";
    }
}

std::vector<std::string> tensors_of(const nvinfer1::ICudaEngine& engine) {
    std::vector<std::string> found;
    for (std::int32_t i = 0; i < engine.getNbIOTensors(); ++i) {
        const char* name = engine.getIOTensorName(i);
        const nvinfer1::Dims dims = engine.getTensorShape(name);
        const std::vector<std::int64_t> shape(dims.d, dims.d + (dims.nbDims > 0 ? dims.nbDims : 0));
        found.push_back(tensor_text(name, type_name(engine.getTensorDataType(name)), shape));
    }
    return found;
}

class TensorRtModel final : public Model {
public:
    TensorRtModel(const Origin& origin, const std::string* json, const Options& options) : name_(origin.name) {
        check_threads(options.threads);
        origin.require_there("engine");
        require_cuda(options);
        const EngineInfo file = json != nullptr ? EngineInfo::from_json(*json, "the engine's JSON in memory")
                                                : EngineInfo::beside(origin.path);
        spec_ = file.spec;
        const Gpu gpu = cuda::current_gpu(device_);
        const std::string version = tensorrt_version();
        file.require_fit(name_, json != nullptr ? "model.engine" : text_of(origin.path.filename()), version, gpu);
        load(origin, file);
        require_tensors(tensors_of(*engine_), spec_, name_, "engine", "build it again");
        auto first = std::make_unique<TensorRtSlot>(*engine_, spec_, name_, device_);
        description_ =
            "TensorRT " + version + ", cuda, " + gpu.name + ", " + spec_.precision + ", " + first->graph_text();
        first_ = std::move(first);
    }

    ~TensorRtModel() override {
        const cuda::Current current(device_, std::nothrow);
        first_.reset();
        engine_.reset();
        runtime_.reset();
    }

    [[nodiscard]] const ModelSpec& spec() const noexcept override { return spec_; }
    [[nodiscard]] const std::string& description() const noexcept override { return description_; }

    // One prepares and finishes its pictures on the CPU while the other has the GPU.
    [[nodiscard]] std::size_t most_slots() const noexcept override { return 2; }

    [[nodiscard]] std::unique_ptr<Slot> make_slot() override {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (first_ != nullptr) {
            return std::move(first_);
        }
        return std::make_unique<TensorRtSlot>(*engine_, spec_, name_, device_);
    }

private:
    void require_cuda(const Options& options) const {
        if (options.device.value_or(Device::cuda) != Device::cuda) {
            throw Error(ErrorCode::backend, name_ +
                                                ": a TensorRT engine runs on an NVIDIA GPU, not on the cpu; choose "
                                                "the device cuda");
        }
    }

    void load(const Origin& origin, const EngineInfo& file) {
        const std::string content = origin.bytes == nullptr ? read_file(origin.path, ErrorCode::backend, "") : "";
        const void* const engine = origin.bytes == nullptr ? content.data() : origin.bytes;
        const std::size_t size = origin.bytes == nullptr ? content.size() : origin.size;
        file.require_engine(engine, size, name_);
        journal_.clear();
        runtime_.reset(nvinfer1::createInferRuntime(journal_));
        if (runtime_ == nullptr) {
            fail("TensorRT cannot start", "; build the library with the headers of the TensorRT that it runs with");
        }
        if (file.version_compatible) {
            runtime_->setEngineHostCodeAllowed(true);  // such an engine brings a small runtime of its own version along
        }
        engine_.reset(runtime_->deserializeCudaEngine(engine, size));
        if (engine_ == nullptr) {
            fail("TensorRT cannot load it", "; build it again on this machine");
        }
    }

    [[noreturn]] void fail(const std::string& what, const std::string& remedy) const {
        throw Error(ErrorCode::backend, name_ + ": " + what + " (" + journal_.reason() + ")" + remedy);
    }

    Journal& journal_ = Journal::instance();
    std::string name_, description_;
    ModelSpec spec_;
    int device_ = 0;
    // In order of creation: each is destroyed before what it was made from.
    std::unique_ptr<nvinfer1::IRuntime> runtime_;
    std::unique_ptr<nvinfer1::ICudaEngine> engine_;
    std::mutex mutex_;
    std::unique_ptr<Slot> first_;  // made while opening; the first that is asked for
};

}  // namespace

std::unique_ptr<Model> open_tensorrt(const Origin& origin, const std::string* json, const Options& options) {
    return std::make_unique<TensorRtModel>(origin, json, options);
}

}  // namespace afformer::core
