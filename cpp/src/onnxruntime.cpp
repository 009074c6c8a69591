#include "onnxruntime.hpp"

#include <afformer/errors.hpp>
#include <string>
#include <thread>

#include "onnxruntime_session.hpp"
#include "spec_json.hpp"
#include "tensors.hpp"

namespace afformer::core {
namespace {

class OnnxRuntimeSlot final : public Slot {
public:
    OnnxRuntimeSlot(const OnnxSession& session, const ModelSpec& spec, const std::string& description)
        : session_(session), description_(description), output_name_(expected_output(spec).name) {
        input_ = session.tensor(expected_input(spec));
        output_ = session.tensor(expected_output(spec));
        input_data_ = session.data(input_.get());
        output_data_ = session.data(output_.get());
    }

    [[nodiscard]] void* input() noexcept override { return input_data_; }

    const void* run() override {
        const char* input_name = "image";
        const OrtValue* input = input_.get();
        OrtValue* output = output_.get();
        OrtStatus* status =
            session_.api().Run(session_.session(), nullptr, &input_name, &input, 1, &output_name_, 1, &output);
        if (status != nullptr) {
            session_.fail(status, description_ + ": the model failed");
        }
        return output_data_;
    }

private:
    const OnnxSession& session_;
    const std::string& description_;
    const char* output_name_;
    OrtHandle<OrtValue> input_, output_;
    void* input_data_ = nullptr;
    const void* output_data_ = nullptr;
};

class OnnxRuntimeModel final : public Model {
public:
    OnnxRuntimeModel(const Origin& origin, const Options& options)
        : session_(origin, options), spec_(read_spec(session_.metadata(metadata_key), origin.name)) {
        require_fit();
        require_tensors(session_.tensors(), spec_, origin.name, "model", "export it again");
        description_ = "ONNX Runtime " + session_.version() + ", " + session_.device_name() + ", " +
                       (options.threads != 0 ? std::to_string(options.threads) : "default") + " threads";
    }

    [[nodiscard]] const ModelSpec& spec() const noexcept override { return spec_; }
    [[nodiscard]] const std::string& description() const noexcept override { return description_; }

    // More runs than cores would only stand in each other's way. A GPU takes them one by one: a second one prepares and
    // finishes its pictures meanwhile.
    [[nodiscard]] std::size_t most_slots() const noexcept override {
        return session_.device() == Device::cuda ? 2 : std::thread::hardware_concurrency();
    }

    [[nodiscard]] std::unique_ptr<Slot> make_slot() override {
        return std::make_unique<OnnxRuntimeSlot>(session_, spec_, description_);
    }

private:
    // It would be opened, and then run in floats or on the CPU.
    void require_fit() const {
        if (spec_.precision == "int8" && session_.device() == Device::cuda) {
            throw Error(ErrorCode::backend,
                        session_.name() +
                            ": is INT8, which ONNX Runtime's CUDA kernels cannot compute; build an INT8 "
                            "TensorRT engine (`afformer-cli engine MODEL --precision int8`), or choose the "
                            "device cpu");
        }
    }

    OnnxSession session_;
    ModelSpec spec_;
    std::string description_;
};

}  // namespace

std::unique_ptr<Model> open_onnxruntime(const Origin& origin, const Options& options) {
    return std::make_unique<OnnxRuntimeModel>(origin, options);
}

}  // namespace afformer::core
