// ONNX Runtime as a backend, on the CPU or, when asked, on CUDA.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "backend.hpp"
#include "errors.hpp"
#include "onnxruntime_model.hpp"
#include "options.hpp"
#include "spec.hpp"

namespace afformer {

// A model file of this project's export on ONNX Runtime 1.11 or newer.
class OnnxRuntimeBackend final : public Backend {
public:
    // Throws Error(backend) if there is no usable ONNX Runtime or device, if the file is missing, no ONNX model, INT8
    // for CUDA, or differs from its spec; Error(spec) if it has no readable spec.
    explicit OnnxRuntimeBackend(const std::filesystem::path& path, const Options& options = {})
        : model_(path, options), spec_(ModelSpec::from_json(model_.metadata(metadata_key), path.string())) {
        require_fit(path);
        const auto input = detail::ExpectedTensor::input(spec_), output = detail::ExpectedTensor::output(spec_);
        model_.require_input(input);
        model_.require_output(output);
        output_name_ = output.name;
        input_ = model_.tensor(input);
        output_ = model_.tensor(output);
        input_data_ = model_.data(input_.get());
        output_data_ = model_.data(output_.get());
        description_ = "ONNX Runtime " + model_.version() + ", " + model_.device_name() + ", " +
                       (options.threads != 0 ? std::to_string(options.threads) : "default") + " threads";
    }

    [[nodiscard]] const ModelSpec& spec() const noexcept override { return spec_; }
    [[nodiscard]] const std::string& description() const noexcept override { return description_; }
    [[nodiscard]] void* input() noexcept override { return input_data_; }

    const void* run() override {
        const char* input_name = "image";
        const OrtValue* input = input_.get();
        OrtValue* output = output_.get();
        OrtStatus* status =
            model_.api().Run(model_.session(), nullptr, &input_name, &input, 1, &output_name_, 1, &output);
        if (status != nullptr) {
            model_.fail(status, description_ + ": the model failed");
        }
        return output_data_;
    }

private:
    // It would be opened, and then run in floats or on the CPU.
    void require_fit(const std::filesystem::path& path) const {
        if (spec_.precision == "int8" && model_.device() == Device::cuda) {
            throw Error(ErrorCode::backend,
                        path.string() + ": is INT8, which ONNX Runtime's CUDA kernels do not compute in; build an "
                                        "engine of INT8 for TensorRT (`afformer-cli engine MODEL --precision int8`), "
                                        "or choose the device cpu");
        }
    }

    detail::OrtModel model_;
    ModelSpec spec_;
    std::string description_;
    const char* output_name_ = nullptr;
    detail::OrtHandle<OrtValue> input_, output_;
    void* input_data_ = nullptr;
    const void* output_data_ = nullptr;
};

[[nodiscard]] inline std::unique_ptr<Backend> open_onnxruntime(const std::filesystem::path& path,
                                                               const Options& options = {}) {
    return std::make_unique<OnnxRuntimeBackend>(path, options);
}

}  // namespace afformer
