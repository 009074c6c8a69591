// One run of an engine at a time, with its memory on both sides.
#pragma once

#include <NvInferRuntime.h>

#include <memory>
#include <string>

#include "../model.hpp"
#include "cuda.hpp"
#include "journal.hpp"

namespace afformer::core {

// Buffers are bound once, and the copies to and from the GPU and the network between them are one CUDA graph. Where
// that cannot be recorded, they are queued one by one.
class TensorRtSlot final : public Slot {
public:
    // `name` names the engine in errors, and `device` is its GPU. Throws Error(backend).
    TensorRtSlot(nvinfer1::ICudaEngine& engine, const ModelSpec& spec, std::string name, int device);
    ~TensorRtSlot() override;

    [[nodiscard]] void* input() noexcept override { return host_input_.get(); }
    const void* run() override;

    // Whether there is a CUDA graph, for people.
    [[nodiscard]] const std::string& graph_text() const noexcept { return graph_text_; }

private:
    void bind(nvinfer1::ICudaEngine& engine, const ModelSpec& spec);
    void record();
    void queue();
    void finish();
    [[noreturn]] void fail(const std::string& what, const std::string& remedy) const;

    Journal& journal_ = Journal::instance();
    std::string name_, graph_text_;
    int device_;
    std::size_t input_bytes_, output_bytes_;
    // In order of creation: each is destroyed before what it was made from.
    std::unique_ptr<nvinfer1::IExecutionContext> context_;
    cuda::HostBuffer host_input_, host_output_;
    cuda::DeviceBuffer device_input_, device_output_;
    cuda::Stream stream_;
    cuda::Graph graph_;
};

}  // namespace afformer::core
