// Stands in for TensorRT's runtime in tests without a GPU: the part that afformer uses, as TensorRT 10.3.0.
//
// Its plans are text, one tensor a line: NAME TYPE LENGTH LENGTH... Its network is one that Python can do as well.
#pragma once

#include <atomic>
#include <cstdint>
#include <cuda_runtime_api.h>
#include <sstream>

#define NV_TENSORRT_MAJOR 10
#define NV_TENSORRT_MINOR 3

namespace nvinfer1 {

enum class DataType : std::int32_t { kFLOAT, kHALF, kINT8, kINT32, kBOOL, kUINT8 };

struct Dims {
    std::int32_t nbDims = 0;
    std::int64_t d[8] = {};
};

class ILogger {
public:
    enum class Severity : std::int32_t { kINTERNAL_ERROR, kERROR, kWARNING, kINFO, kVERBOSE };
    virtual void log(Severity severity, const char* message) noexcept = 0;
    virtual ~ILogger() = default;
};

}  // namespace nvinfer1

namespace fake {

struct Tensor {
    std::string name;
    nvinfer1::DataType type{};
    nvinfer1::Dims dims;
    void* address = nullptr;
};

inline std::atomic<nvinfer1::ILogger*> logger{nullptr};

// Notes the call; if it is to fail, complains as TensorRT does, with what led to it and what follows from it.
inline bool refuses(const char* name) {
    if (!fails(name)) {
        return false;
    }
    nvinfer1::ILogger* const to = logger;
    to->log(nvinfer1::ILogger::Severity::kWARNING, "this may go wrong");
    const std::string complaint = setting("AFFORMER_FAKE_COMPLAINT");
    to->log(nvinfer1::ILogger::Severity::kERROR,
            (std::string(name) + ": " + (complaint.empty() ? "Error Code 1:\n  broken" : complaint)).c_str());
    to->log(nvinfer1::ILogger::Severity::kINTERNAL_ERROR, "all went down with it");
    return true;
}

// Class ids from the red of uint8 pictures, or logits from the pixels at the grid's points.
inline void infer(const Tensor& in, const Tensor& out) {
    const auto* size = in.dims.d;
    if (in.type == nvinfer1::DataType::kUINT8) {
        for (std::int64_t i = 0; i < size[0] * size[1] * size[2]; ++i) {
            static_cast<std::uint8_t*>(out.address)[i] = static_cast<const std::uint8_t*>(in.address)[3 * i] % 5;
        }
        return;
    }
    const auto* grid = out.dims.d;
    auto* logit = static_cast<float*>(out.address);
    for (std::int64_t n = 0; n < grid[0]; ++n) {
        for (std::int64_t c = 0; c < grid[1]; ++c) {
            const float* plane = static_cast<const float*>(in.address) + (n * 3 + c % 3) * size[2] * size[3];
            for (std::int64_t i = 0; i < grid[2] * grid[3]; ++i) {
                *logit++ = plane[i / grid[3] * 8 * size[3] + i % grid[3] * 8] * static_cast<float>(c + 1);
            }
        }
    }
}

}  // namespace fake

namespace nvinfer1 {

class IExecutionContext {
public:
    explicit IExecutionContext(std::vector<fake::Tensor> tensors) : tensors_(std::move(tensors)) {}
    virtual ~IExecutionContext() { fake::fails("~IExecutionContext"); }

    bool setTensorAddress(const char* name, void* address) noexcept {
        for (fake::Tensor& tensor : tensors_) {
            if (tensor.name == name) {
                tensor.address = address;
                return !fake::refuses("setTensorAddress");
            }
        }
        return false;
    }
    bool enqueueV3(cudaStream_t stream) noexcept {
        stream->put([this] { fake::infer(tensors_.at(0), tensors_.at(1)); });
        return !fake::refuses("enqueueV3") && stream->gpu == fake::current();
    }

private:
    std::vector<fake::Tensor> tensors_;
};

class ICudaEngine {
public:
    explicit ICudaEngine(std::vector<fake::Tensor> tensors) : tensors_(std::move(tensors)) {}
    virtual ~ICudaEngine() { fake::fails("~ICudaEngine"); }

    std::int32_t getNbIOTensors() const noexcept { return static_cast<std::int32_t>(tensors_.size()); }
    const char* getIOTensorName(std::int32_t index) const noexcept {
        return tensors_.at(static_cast<std::size_t>(index)).name.c_str();
    }
    Dims getTensorShape(const char* name) const noexcept { return find(name).dims; }
    DataType getTensorDataType(const char* name) const noexcept { return find(name).type; }
    IExecutionContext* createExecutionContext() noexcept {
        return fake::refuses("createExecutionContext") ? nullptr : new IExecutionContext(tensors_);
    }

private:
    const fake::Tensor& find(const std::string& name) const noexcept {
        return tensors_.at(0).name == name ? tensors_.at(0) : tensors_.at(1);
    }

    std::vector<fake::Tensor> tensors_;
};

class IRuntime {
public:
    virtual ~IRuntime() { fake::fails("~IRuntime"); }

    void setEngineHostCodeAllowed(bool) noexcept { fake::fails("setEngineHostCodeAllowed"); }
    ICudaEngine* deserializeCudaEngine(const void* plan, std::size_t size) noexcept {
        if (fake::refuses("deserializeCudaEngine")) {
            return nullptr;
        }
        std::istringstream lines(std::string(static_cast<const char*>(plan), size));
        std::vector<fake::Tensor> tensors;
        for (std::string line; std::getline(lines, line);) {
            std::istringstream words(line);
            fake::Tensor tensor;
            int type = 0;
            words >> tensor.name >> type;
            tensor.type = static_cast<DataType>(type);
            while (words >> tensor.dims.d[tensor.dims.nbDims]) {
                ++tensor.dims.nbDims;
            }
            tensors.push_back(tensor);
        }
        return new ICudaEngine(tensors);
    }
};

inline IRuntime* createInferRuntime(ILogger& logger) noexcept {
    fake::logger = &logger;
    return fake::refuses("createInferRuntime") ? nullptr : new IRuntime;
}

}  // namespace nvinfer1

inline std::int32_t getInferLibVersion() noexcept { return 100300; }
