// A model that ONNX Runtime has loaded: how it is opened, and what it says of itself and its tensors.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include "backend.hpp"
#include "errors.hpp"
#include "onnxruntime_library.hpp"
#include "options.hpp"
#include "spec.hpp"

namespace afformer::detail {

template <typename T>
struct OrtRelease {
    void(ORT_API_CALL* release)(T*) = nullptr;
    void operator()(T* object) const noexcept { release(object); }
};

template <typename T>
using OrtHandle = std::unique_ptr<T, OrtRelease<T>>;

inline std::string first_line(std::string text) {
    const char* blank = " \t\r\n";
    text.erase(0, std::min(text.find_first_not_of(blank), text.size()));
    text.erase(std::min(text.find('\n'), text.size()));
    text.erase(text.find_last_not_of(blank) + 1);
    return text.empty() ? "no reason given" : text;
}

// A tensor as people write it, `image float[1, 3, 360, 480]`.
inline std::string tensor_text(const std::string& name, const std::string& type,
                               const std::vector<std::string>& shape) {
    std::string text = name + " " + type + "[";
    for (std::size_t i = 0; i < shape.size(); ++i) {
        text += (i == 0 ? "" : ", ") + shape[i];
    }
    return text + "]";
}

inline const char* tensor_type_name(ONNXTensorElementDataType type) {
    constexpr std::array names{"undefined", "float",  "uint8",     "int8",       "uint16",  "int16",
                               "int32",     "int64",  "string",    "bool",       "float16", "double",
                               "uint32",    "uint64", "complex64", "complex128", "bfloat16"};
    const auto index = static_cast<std::size_t>(type);
    return index < names.size() ? names[index] : "another type";
}

// Name, type and shape of the tensor that a model must have to keep its spec's promise.
struct ExpectedTensor {
    const char* name;
    ONNXTensorElementDataType type;
    std::vector<std::int64_t> shape;

    static ExpectedTensor input(const ModelSpec& spec) {
        const auto [height, width] = spec.input;
        if (spec.input_kind == InputKind::uint8) {
            return {"image", ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8, {spec.batch, height, width, 3}};
        }
        return {"image", ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, {spec.batch, 3, height, width}};
    }

    static ExpectedTensor output(const ModelSpec& spec) {
        const auto [height, width] = spec.input;
        if (spec.output_kind == OutputKind::classmap) {
            return {"classmap", ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8, {spec.batch, height, width}};
        }
        const Size grid = spec.logits_size();
        return {
            "logits", ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, {spec.batch, spec.num_classes(), grid.height, grid.width}};
    }

    [[nodiscard]] std::string text() const {
        std::vector<std::string> lengths;
        for (const std::int64_t length : shape) {
            lengths.push_back(std::to_string(length));
        }
        return tensor_text(name, tensor_type_name(type), lengths);
    }
};

// The objects of ONNX Runtime that a loaded model holds, and what can be asked of them. In order of creation.
class OrtModel {
public:
    OrtModel(const std::filesystem::path& path, const Options& options)
        : runtime_(find_onnxruntime(options.library)),
          path_(path.string()),
          device_(options.device.value_or(Device::cpu)) {
        check_threads(options.threads);
        require_provider();
        if (std::error_code unreadable; !std::filesystem::is_regular_file(path, unreadable)) {
            throw Error(ErrorCode::backend, path_ + ": no such model file");
        }
        check(api().GetAllocatorWithDefaultOptions(&allocator_), "ONNX Runtime does not start");
        environment_ = made<OrtEnv>(api().ReleaseEnv, "ONNX Runtime does not start", [&](OrtEnv** made) {
            // A process has one environment: its level is the host program's, too. The session's own is set below.
            return api().CreateEnv(ORT_LOGGING_LEVEL_WARNING, "afformer", made);
        });
        start_session(path, options.threads);
    }

    [[nodiscard]] const OrtApi& api() const noexcept { return *runtime_.api; }
    [[nodiscard]] const std::string& version() const noexcept { return runtime_.version; }
    [[nodiscard]] OrtSession* session() const noexcept { return session_.get(); }
    [[nodiscard]] Device device() const noexcept { return device_; }
    [[nodiscard]] const char* device_name() const noexcept { return device_ == Device::cuda ? "cuda" : "cpu"; }

    // What stands in the model's metadata under `key`. Throws Error(spec) if nothing does.
    [[nodiscard]] std::string metadata(const char* key) const {
        const auto all = made<OrtModelMetadata>(api().ReleaseModelMetadata, path_, [&](OrtModelMetadata** made) {
            return api().SessionGetModelMetadata(session(), made);
        });
        char* value = nullptr;
        check(api().ModelMetadataLookupCustomMetadataMap(all.get(), allocator_, key, &value), path_);
        if (value == nullptr) {
            throw Error(ErrorCode::spec, path_ + ": has no '" + key +
                                             "' in its metadata, so its size, classes and normalisation are unknown; "
                                             "export it with `afformer-cli export`");
        }
        return owned(value);
    }

    void require_input(const ExpectedTensor& expected) const {
        std::size_t count = 0;
        check(api().SessionGetInputCount(session(), &count), path_);
        require_tensor(expected, count, api().SessionGetInputName, api().SessionGetInputTypeInfo);
    }

    void require_output(const ExpectedTensor& expected) const {
        std::size_t count = 0;
        check(api().SessionGetOutputCount(session(), &count), path_);
        require_tensor(expected, count, api().SessionGetOutputName, api().SessionGetOutputTypeInfo);
    }

    // A tensor in the CPU's memory, aligned as ONNX Runtime likes it.
    [[nodiscard]] OrtHandle<OrtValue> tensor(const ExpectedTensor& like) const {
        return made<OrtValue>(api().ReleaseValue, path_, [&](OrtValue** made) {
            return api().CreateTensorAsOrtValue(allocator_, like.shape.data(), like.shape.size(), like.type, made);
        });
    }

    [[nodiscard]] void* data(OrtValue* tensor) const {
        void* data = nullptr;
        check(api().GetTensorMutableData(tensor, &data), path_);
        return data;
    }

    [[noreturn]] void fail(OrtStatus* status, const std::string& what, const std::string& remedy = "") const {
        const OrtHandle<OrtStatus> owner(status, {api().ReleaseStatus});
        throw Error(ErrorCode::backend, what + ": " + first_line(api().GetErrorMessage(status)) + remedy);
    }

private:
    void check(OrtStatus* status, const std::string& what) const {
        if (status != nullptr) {
            fail(status, what);
        }
    }

    template <typename T, typename Make>
    [[nodiscard]] OrtHandle<T> made(void(ORT_API_CALL* release)(T*), const std::string& what, const Make& make) const {
        T* object = nullptr;
        check(make(&object), what);
        return OrtHandle<T>(object, {release});
    }

    // A text of ONNX Runtime's as one of ours.
    [[nodiscard]] std::string owned(char* text) const {
        const auto free = [this](char* p) { api().ReleaseStatus(api().AllocatorFree(allocator_, p)); };
        const std::unique_ptr<char, decltype(free)> owner(text, free);
        return text;
    }

    [[nodiscard]] std::string remedy() const {
        return device_ == Device::cuda
                   ? "; take an ONNX Runtime that is built for CUDA, with the CUDA and cuDNN it asks "
                     "for (the pip package onnxruntime-gpu has one), or choose the device cpu"
                   : "; take an ONNX Runtime that is built for the CPU";
    }

    void require_provider() const {
        const std::string wanted = device_ == Device::cuda ? "CUDAExecutionProvider" : "CPUExecutionProvider";
        char** names = nullptr;
        int count = 0;
        check(api().GetAvailableProviders(&names, &count), "ONNX Runtime does not start");
        const bool found = std::any_of(names, names + count, [&](const char* name) { return name == wanted; });
        check(api().ReleaseAvailableProviders(names, count), "ONNX Runtime does not start");
        if (!found) {
            throw Error(ErrorCode::backend,
                        std::string(device_name()) + " is not available in this ONNX Runtime" + remedy());
        }
    }

    void start_session(const std::filesystem::path& path, int threads) {
        const auto options = made<OrtSessionOptions>(api().ReleaseSessionOptions, path_, [&](OrtSessionOptions** made) {
            return api().CreateSessionOptions(made);
        });
        check(api().SetIntraOpNumThreads(options.get(), threads), path_);
        check(api().SetInterOpNumThreads(options.get(), 1), path_);
        check(api().SetSessionExecutionMode(options.get(), ORT_SEQUENTIAL), path_);
        // Between two runs ONNX Runtime's threads would spin, and take the cores from what is done to pictures then.
        check(api().AddSessionConfigEntry(options.get(), "session.force_spinning_stop", "1"), path_);
        // What matters arrives as an error, once.
        check(api().SetSessionLogSeverityLevel(options.get(), ORT_LOGGING_LEVEL_FATAL), path_);
        if (device_ == Device::cuda) {
            append_cuda(options.get());
        }
        OrtSession* session = nullptr;
        if (OrtStatus* status = api().CreateSession(environment_.get(), path.c_str(), options.get(), &session)) {
            if (device_ == Device::cuda) {
                fail(status, path_ + ": ONNX Runtime cannot load it on cuda", remedy());
            }
            fail(status, path_ + ": is no ONNX model that ONNX Runtime can load");
        }
        session_ = {session, {api().ReleaseSession}};
    }

    void append_cuda(OrtSessionOptions* options) const {
        OrtCUDAProviderOptionsV2* cuda = nullptr;
        check(api().CreateCUDAProviderOptions(&cuda), "ONNX Runtime could not start cuda");
        const OrtHandle<OrtCUDAProviderOptionsV2> owner(cuda, {api().ReleaseCUDAProviderOptions});
        // TensorFloat-32 has 10 bits of mantissa; the model says float32.
        const char* const key = "use_tf32";
        const char* const value = "0";
        check(api().UpdateCUDAProviderOptions(cuda, &key, &value, 1), "ONNX Runtime could not start cuda");
        // What CUDA has no kernels for is an error, never a slow surprise on the CPU.
        check(api().AddSessionConfigEntry(options, "session.disable_cpu_ep_fallback", "1"), path_);
        if (OrtStatus* status = api().SessionOptionsAppendExecutionProvider_CUDA_V2(options, cuda)) {
            fail(status, "ONNX Runtime could not start cuda", remedy());
        }
    }

    template <typename NameOf, typename InfoOf>
    void require_tensor(const ExpectedTensor& expected, std::size_t count, NameOf name_of, InfoOf info_of) const {
        std::string found;
        for (std::size_t i = 0; i < count; ++i) {
            char* name = nullptr;
            check(name_of(session(), i, allocator_, &name), path_);
            const std::string own_name = owned(name);
            const auto info = made<OrtTypeInfo>(api().ReleaseTypeInfo, path_,
                                                [&](OrtTypeInfo** made) { return info_of(session(), i, made); });
            found += (i == 0 ? "" : ", ") + described(own_name, *info);
        }
        if (found != expected.text()) {
            throw Error(ErrorCode::backend, path_ + ": differs from its own spec: expected the tensor " +
                                                expected.text() + ", but the model has " + found + "; export it again");
        }
    }

    [[nodiscard]] std::string described(const std::string& name, const OrtTypeInfo& info) const {
        const OrtTensorTypeAndShapeInfo* tensor = nullptr;
        check(api().CastTypeInfoToTensorInfo(&info, &tensor), path_);
        if (tensor == nullptr) {
            return name + " (no tensor)";
        }
        ONNXTensorElementDataType type = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
        check(api().GetTensorElementType(tensor, &type), path_);
        std::size_t rank = 0;
        check(api().GetDimensionsCount(tensor, &rank), path_);
        std::vector<std::int64_t> lengths(rank);
        check(api().GetDimensions(tensor, lengths.data(), rank), path_);
        std::vector<const char*> symbols(rank);
        check(api().GetSymbolicDimensions(tensor, symbols.data(), rank), path_);
        std::vector<std::string> shape(rank);
        for (std::size_t i = 0; i < rank; ++i) {
            const std::string symbol = *symbols[i] != '\0' ? symbols[i] : "None";
            shape[i] = lengths[i] >= 0 ? std::to_string(lengths[i]) : symbol;
        }
        return tensor_text(name, tensor_type_name(type), shape);
    }

    OnnxRuntime runtime_;
    std::string path_;
    Device device_;
    OrtAllocator* allocator_ = nullptr;  // ONNX Runtime's own, one for all
    OrtHandle<OrtEnv> environment_;
    OrtHandle<OrtSession> session_;
};

}  // namespace afformer::detail
