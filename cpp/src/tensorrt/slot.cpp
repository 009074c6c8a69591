#include "slot.hpp"

#include <afformer/errors.hpp>
#include <new>
#include <utility>

#include "../tensors.hpp"

namespace afformer::core {

TensorRtSlot::TensorRtSlot(nvinfer1::ICudaEngine& engine, const ModelSpec& spec, std::string name, int device)
    : name_(std::move(name)), device_(device), input_bytes_(spec.input_bytes()), output_bytes_(spec.output_bytes()) {
    const cuda::Current current(device_);
    bind(engine, spec);
    record();
}

TensorRtSlot::~TensorRtSlot() {
    const cuda::Current current(device_, std::nothrow);
    graph_.reset();
    stream_.reset();
    device_output_.reset(), device_input_.reset();
    host_output_.reset(), host_input_.reset();
    context_.reset();
}

const void* TensorRtSlot::run() {
    const cuda::Current current(device_);
    if (graph_ != nullptr) {
        cuda::check(cudaGraphLaunch(graph_.get(), stream_.get()), "run the engine");
    } else {
        queue();
    }
    finish();
    return host_output_.get();
}

void TensorRtSlot::bind(nvinfer1::ICudaEngine& engine, const ModelSpec& spec) {
    journal_.clear();
    context_.reset(engine.createExecutionContext());
    if (context_ == nullptr) {
        fail("TensorRT cannot set it up", "; free GPU memory");
    }
    stream_ = cuda::stream();
    host_input_ = cuda::host_buffer(input_bytes_);
    host_output_ = cuda::host_buffer(output_bytes_);
    device_input_ = cuda::device_buffer(input_bytes_);
    device_output_ = cuda::device_buffer(output_bytes_);
    journal_.clear();
    if (!context_->setTensorAddress(expected_input(spec).name, device_input_.get()) ||
        !context_->setTensorAddress(expected_output(spec).name, device_output_.get())) {
        fail("TensorRT takes no memory for its tensors", "; build it again");
    }
}

// Makes the graph. The first run cannot be recorded: TensorRT sets itself up in it.
void TensorRtSlot::record() {
    queue();
    finish();
    try {
        graph_ = cuda::capture(stream_.get(), [this] { queue(); });
        graph_text_ = "CUDA graph";
    } catch (const Error& error) {
        graph_text_ = std::string("no CUDA graph (") + error.what() + ")";
    }
}

// One run: the input to the GPU, the network, the output back.
void TensorRtSlot::queue() {
    cuda::check(
        cudaMemcpyAsync(device_input_.get(), host_input_.get(), input_bytes_, cudaMemcpyHostToDevice, stream_.get()),
        "copy the input to the GPU");
    journal_.clear();
    if (!context_->enqueueV3(stream_.get())) {
        fail("the engine failed", "");
    }
    cuda::check(
        cudaMemcpyAsync(host_output_.get(), device_output_.get(), output_bytes_, cudaMemcpyDeviceToHost, stream_.get()),
        "copy the output from the GPU");
}

void TensorRtSlot::finish() { cuda::check(cudaStreamSynchronize(stream_.get()), "finish the engine's run"); }

void TensorRtSlot::fail(const std::string& what, const std::string& remedy) const {
    throw Error(ErrorCode::backend, name_ + ": " + what + " (" + journal_.reason() + ")" + remedy);
}

}  // namespace afformer::core
