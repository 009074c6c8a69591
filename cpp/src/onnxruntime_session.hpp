// A model that ONNX Runtime has loaded: how it is opened, and what can be asked of it.
#pragma once

#include <afformer/options.hpp>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "onnxruntime_library.hpp"
#include "origin.hpp"
#include "tensors.hpp"

namespace afformer::core {

template <typename T>
struct OrtRelease {
    void(ORT_API_CALL* release)(T*) = nullptr;
    void operator()(T* object) const noexcept { release(object); }
};

template <typename T>
using OrtHandle = std::unique_ptr<T, OrtRelease<T>>;

// The objects of ONNX Runtime that a loaded model holds. Any number of threads may run it at once.
class OnnxSession {
public:
    // Throws Error(backend) if there is no usable ONNX Runtime or device, or no model that it can load.
    OnnxSession(const Origin& origin, const Options& options);

    [[nodiscard]] const OrtApi& api() const noexcept { return *runtime_.api; }
    [[nodiscard]] const std::string& version() const noexcept { return runtime_.version; }
    [[nodiscard]] OrtSession* session() const noexcept { return session_.get(); }
    [[nodiscard]] Device device() const noexcept { return device_; }
    [[nodiscard]] const char* device_name() const noexcept { return device_ == Device::cuda ? "cuda" : "cpu"; }
    [[nodiscard]] const std::string& name() const noexcept { return name_; }

    // What stands in the model's metadata under `key`. Throws Error(spec) if nothing does.
    [[nodiscard]] std::string metadata(const char* key) const;

    // The model's inputs and then its outputs, as `tensor_text` writes them.
    [[nodiscard]] std::vector<std::string> tensors() const;

    // A tensor in the CPU's memory, aligned as ONNX Runtime likes it, and where its values are.
    [[nodiscard]] OrtHandle<OrtValue> tensor(const ExpectedTensor& like) const;
    [[nodiscard]] void* data(OrtValue* tensor) const;

    // Throws Error(backend) with what ONNX Runtime says.
    [[noreturn]] void fail(OrtStatus* status, const std::string& what, const std::string& remedy = "") const;

private:
    void check(OrtStatus* status, const std::string& what) const;
    template <typename T, typename Make>
    [[nodiscard]] OrtHandle<T> made(void(ORT_API_CALL* release)(T*), const std::string& what, const Make& make) const;
    [[nodiscard]] std::string owned(char* text) const;

    [[nodiscard]] std::string remedy() const;
    void require_provider() const;
    void start(const Origin& origin, int threads);
    [[nodiscard]] OrtHandle<OrtSessionOptions> session_options(int threads) const;
    void append_cuda(OrtSessionOptions* options) const;

    template <typename NameOf, typename InfoOf>
    void describe(std::size_t count, NameOf name_of, InfoOf info_of, std::vector<std::string>& texts) const;
    [[nodiscard]] std::string described(const std::string& name, const OrtTypeInfo& info) const;

    OnnxRuntime runtime_;
    std::string name_;  // of the model, in errors
    Device device_;
    // In order of creation.
    OrtAllocator* allocator_ = nullptr;  // ONNX Runtime's own, one for all
    OrtHandle<OrtEnv> environment_;
    OrtHandle<OrtSession> session_;
};

}  // namespace afformer::core
