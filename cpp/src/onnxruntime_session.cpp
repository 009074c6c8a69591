#include "onnxruntime_session.hpp"

#include <afformer/errors.hpp>
#include <algorithm>
#include <array>
#include <cstdint>

#include "text.hpp"
#include "threads.hpp"

namespace afformer::core {
namespace {

// Numpy's name.
std::string type_name(ONNXTensorElementDataType type) {
    constexpr std::array names{"undefined", "float32", "uint8",     "int8",       "uint16",  "int16",
                               "int32",     "int64",   "string",    "bool",       "float16", "float64",
                               "uint32",    "uint64",  "complex64", "complex128", "bfloat16"};
    const auto index = static_cast<std::size_t>(type);
    return index < names.size() ? names[index] : "another type";
}

}  // namespace

OnnxSession::OnnxSession(const Origin& origin, const Options& options)
    : runtime_(find_onnxruntime(options.library)), name_(origin.name), device_(options.device.value_or(Device::cpu)) {
    check_threads(options.threads);
    require_provider();
    origin.require_there("model");
    check(api().GetAllocatorWithDefaultOptions(&allocator_), "ONNX Runtime does not start");
    environment_ = made<OrtEnv>(api().ReleaseEnv, "ONNX Runtime does not start", [&](OrtEnv** made) {
        // A process has one environment: its level is the host program's, too. The session's own is set below.
        return api().CreateEnv(ORT_LOGGING_LEVEL_WARNING, "afformer", made);
    });
    start(origin, options.threads);
}

std::string OnnxSession::metadata(const char* key) const {
    const auto all = made<OrtModelMetadata>(api().ReleaseModelMetadata, name_, [&](OrtModelMetadata** made) {
        return api().SessionGetModelMetadata(session(), made);
    });
    char* value = nullptr;
    check(api().ModelMetadataLookupCustomMetadataMap(all.get(), allocator_, key, &value), name_);
    if (value == nullptr) {
        throw Error(ErrorCode::spec, name_ + ": has no '" + key +
                                         "' in its metadata, so its size, classes and normalisation are unknown; "
                                         "export it with `afformer-cli export`");
    }
    return owned(value);
}

std::vector<std::string> OnnxSession::tensors() const {
    std::vector<std::string> texts;
    std::size_t count = 0;
    check(api().SessionGetInputCount(session(), &count), name_);
    describe(count, api().SessionGetInputName, api().SessionGetInputTypeInfo, texts);
    check(api().SessionGetOutputCount(session(), &count), name_);
    describe(count, api().SessionGetOutputName, api().SessionGetOutputTypeInfo, texts);
    return texts;
}

OrtHandle<OrtValue> OnnxSession::tensor(const ExpectedTensor& like) const {
    const auto type =
        like.type == TensorType::uint8 ? ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8 : ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT;
    return made<OrtValue>(api().ReleaseValue, name_, [&](OrtValue** made) {
        return api().CreateTensorAsOrtValue(allocator_, like.shape.data(), like.shape.size(), type, made);
    });
}

void* OnnxSession::data(OrtValue* tensor) const {
    void* data = nullptr;
    check(api().GetTensorMutableData(tensor, &data), name_);
    return data;
}

void OnnxSession::fail(OrtStatus* status, const std::string& what, const std::string& remedy) const {
    const OrtHandle<OrtStatus> owner(status, {api().ReleaseStatus});
    const std::string reason = first_line(api().GetErrorMessage(status));
    throw Error(ErrorCode::backend, what + ": " + (reason.empty() ? "no reason given" : reason) + remedy);
}

void OnnxSession::check(OrtStatus* status, const std::string& what) const {
    if (status != nullptr) {
        fail(status, what);
    }
}

template <typename T, typename Make>
OrtHandle<T> OnnxSession::made(void(ORT_API_CALL* release)(T*), const std::string& what, const Make& make) const {
    T* object = nullptr;
    check(make(&object), what);
    return OrtHandle<T>(object, {release});
}

// A text of ONNX Runtime's as one of ours.
std::string OnnxSession::owned(char* text) const {
    const auto free = [this](char* p) { api().ReleaseStatus(api().AllocatorFree(allocator_, p)); };
    const std::unique_ptr<char, decltype(free)> owner(text, free);
    return text;
}

std::string OnnxSession::remedy() const {
    return device_ == Device::cuda ? "; take an ONNX Runtime that is built for CUDA, with the CUDA and cuDNN it asks "
                                     "for (the pip package onnxruntime-gpu has one), or choose the device cpu"
                                   : "; take an ONNX Runtime that is built for the CPU";
}

void OnnxSession::require_provider() const {
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

void OnnxSession::start(const Origin& origin, int threads) {
    const auto options = session_options(threads);
    OrtSession* session = nullptr;
    OrtStatus* const status =
        origin.bytes != nullptr
            ? api().CreateSessionFromArray(environment_.get(), origin.bytes, origin.size, options.get(), &session)
            : api().CreateSession(environment_.get(), origin.path.c_str(), options.get(), &session);
    if (status != nullptr) {
        if (device_ == Device::cuda) {
            fail(status, name_ + ": ONNX Runtime cannot load it on cuda", remedy());
        }
        fail(status, name_ + ": is not an ONNX model that ONNX Runtime can load");
    }
    session_ = {session, {api().ReleaseSession}};
}

OrtHandle<OrtSessionOptions> OnnxSession::session_options(int threads) const {
    auto options = made<OrtSessionOptions>(api().ReleaseSessionOptions, name_,
                                           [&](OrtSessionOptions** made) { return api().CreateSessionOptions(made); });
    check(api().SetIntraOpNumThreads(options.get(), threads), name_);
    check(api().SetInterOpNumThreads(options.get(), 1), name_);
    check(api().SetSessionExecutionMode(options.get(), ORT_SEQUENTIAL), name_);
    // Between two runs ONNX Runtime's threads would spin, and take the cores from what is done to pictures then.
    check(api().AddSessionConfigEntry(options.get(), "session.force_spinning_stop", "1"), name_);
    // Between two operators they spin as long as Python's do.
    check(api().AddSessionConfigEntry(options.get(), "session.intra_op.spin_duration_us", "100"), name_);
    // What matters arrives as an error, once.
    check(api().SetSessionLogSeverityLevel(options.get(), ORT_LOGGING_LEVEL_FATAL), name_);
    if (device_ == Device::cuda) {
        append_cuda(options.get());
    }
    return options;
}

void OnnxSession::append_cuda(OrtSessionOptions* options) const {
    OrtCUDAProviderOptionsV2* cuda = nullptr;
    check(api().CreateCUDAProviderOptions(&cuda), "ONNX Runtime could not start cuda");
    const OrtHandle<OrtCUDAProviderOptionsV2> owner(cuda, {api().ReleaseCUDAProviderOptions});
    // TensorFloat-32 has 10 bits of mantissa; the model says float32.
    const char* const key = "use_tf32";
    const char* const value = "0";
    check(api().UpdateCUDAProviderOptions(cuda, &key, &value, 1), "ONNX Runtime could not start cuda");
    // What CUDA has no kernels for is an error, never a slow surprise on the CPU.
    check(api().AddSessionConfigEntry(options, "session.disable_cpu_ep_fallback", "1"), name_);
    if (OrtStatus* status = api().SessionOptionsAppendExecutionProvider_CUDA_V2(options, cuda)) {
        fail(status, "ONNX Runtime could not start cuda", remedy());
    }
}

template <typename NameOf, typename InfoOf>
void OnnxSession::describe(std::size_t count, NameOf name_of, InfoOf info_of, std::vector<std::string>& texts) const {
    for (std::size_t i = 0; i < count; ++i) {
        char* name = nullptr;
        check(name_of(session(), i, allocator_, &name), name_);
        const std::string own_name = owned(name);
        const auto info = made<OrtTypeInfo>(api().ReleaseTypeInfo, name_,
                                            [&](OrtTypeInfo** made) { return info_of(session(), i, made); });
        texts.push_back(described(own_name, *info));
    }
}

std::string OnnxSession::described(const std::string& name, const OrtTypeInfo& info) const {
    const OrtTensorTypeAndShapeInfo* tensor = nullptr;
    check(api().CastTypeInfoToTensorInfo(&info, &tensor), name_);
    if (tensor == nullptr) {
        return name + " (no tensor)";
    }
    ONNXTensorElementDataType type = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
    check(api().GetTensorElementType(tensor, &type), name_);
    std::size_t rank = 0;
    check(api().GetDimensionsCount(tensor, &rank), name_);
    std::vector<std::int64_t> lengths(rank);
    check(api().GetDimensions(tensor, lengths.data(), rank), name_);
    std::vector<const char*> symbols(rank);
    check(api().GetSymbolicDimensions(tensor, symbols.data(), rank), name_);
    std::vector<std::string> shape(rank);
    for (std::size_t i = 0; i < rank; ++i) {
        const std::string symbol = *symbols[i] != '\0' ? symbols[i] : "None";
        shape[i] = lengths[i] >= 0 ? std::to_string(lengths[i]) : symbol;
    }
    return tensor_text(name, type_name(type), shape);
}

}  // namespace afformer::core
