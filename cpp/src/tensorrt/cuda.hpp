// CUDA's runtime, as much of it as an engine needs: failures as `Error`, and owners for what it hands out.
#pragma once

#include <cuda_runtime_api.h>

#include <afformer/errors.hpp>
#include <cstddef>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <type_traits>

#include "../engine_info.hpp"

namespace afformer::core::cuda {

// `doing` completes "CUDA cannot ...". Costs nothing while all goes well.
inline void check(cudaError_t status, const char* doing) {
    if (status != cudaSuccess) {
        static_cast<void>(cudaGetLastError());  // else the next library to ask would take this failure for its own
        throw Error(ErrorCode::backend, std::string("CUDA cannot ") + doing + ": " + cudaGetErrorString(status) + " (" +
                                            cudaGetErrorName(status) + ")");
    }
}

template <auto Function>
struct Free {
    template <typename T>
    void operator()(T* owned) const noexcept {
        static_cast<void>(Function(owned));  // a destructor has nobody to tell
    }
};

template <typename Handle, auto Function>
using Owner = std::unique_ptr<std::remove_pointer_t<Handle>, Free<Function>>;

using HostBuffer = Owner<void*, &cudaFreeHost>;
using DeviceBuffer = Owner<void*, &cudaFree>;
using Stream = Owner<cudaStream_t, &cudaStreamDestroy>;
using Graph = Owner<cudaGraphExec_t, &cudaGraphExecDestroy>;

// Page-locked, so that copies run beside the host; filled with zeros.
inline HostBuffer host_buffer(std::size_t bytes) {
    void* memory = nullptr;
    check(cudaHostAlloc(&memory, bytes, cudaHostAllocDefault), "reserve page-locked memory for the model's tensors");
    std::memset(memory, 0, bytes);
    return HostBuffer(memory);
}

inline DeviceBuffer device_buffer(std::size_t bytes) {
    void* memory = nullptr;
    check(cudaMalloc(&memory, bytes), "reserve memory on the GPU for the model's tensors");
    return DeviceBuffer(memory);
}

// One of its own: the default stream would wait for everybody else's work, and cannot be captured.
inline Stream stream() {
    cudaStream_t made = nullptr;
    check(cudaStreamCreateWithFlags(&made, cudaStreamNonBlocking), "make a stream");
    return Stream(made);
}

// What `work()` puts on `stream`, recorded without running it.
template <typename Work>
Graph capture(cudaStream_t stream, Work&& work) {
    check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "begin to record the work of a frame");
    cudaGraph_t recorded = nullptr;
    try {
        work();
    } catch (...) {
        static_cast<void>(cudaStreamEndCapture(stream, &recorded));
        static_cast<void>(cudaGetLastError());
        if (recorded != nullptr) {
            static_cast<void>(cudaGraphDestroy(recorded));
        }
        throw;
    }
    check(cudaStreamEndCapture(stream, &recorded), "record the work of a frame");
    const Owner<cudaGraph_t, &cudaGraphDestroy> graph(recorded);
    cudaGraphExec_t ready = nullptr;
    check(cudaGraphInstantiateWithFlags(&ready, graph.get(), 0), "prepare the recorded work of a frame");
    return Graph(ready);
}

// Makes a GPU the calling thread's current one for as long as this lives: what CUDA and TensorRT do belongs to the
// current one, and each thread has its own.
class Current {
public:
    explicit Current(int device) : device_(device) { check(change(), "switch to the engine's GPU"); }
    // For destructors, which have nobody to tell.
    Current(int device, std::nothrow_t) noexcept : device_(device) { static_cast<void>(change()); }
    Current(const Current&) = delete;
    Current& operator=(const Current&) = delete;
    ~Current() {
        if (before_ != device_) {
            static_cast<void>(cudaSetDevice(before_));  // it was the current one a moment ago
        }
    }

private:
    cudaError_t change() noexcept {
        const cudaError_t status = cudaGetDevice(&before_);
        return status == cudaSuccess ? cudaSetDevice(device_) : status;
    }

    const int device_;
    int before_ = device_;
};

// The calling thread's current one, whose number goes to `device`. Throws Error(backend) without a driver, or without a
// GPU.
inline Gpu current_gpu(int& device) {
    int count = 0;
    const cudaError_t status = cudaGetDeviceCount(&count);
    if (status == cudaErrorInsufficientDriver || status == cudaErrorStubLibrary) {
        static_cast<void>(cudaGetLastError());
        int version = 0;
        check(cudaRuntimeGetVersion(&version), "tell its version");
        throw Error(ErrorCode::backend, "no NVIDIA driver for CUDA " + std::to_string(version / 1000) + "." +
                                            std::to_string(version % 1000 / 10) + ": " + cudaGetErrorString(status) +
                                            "; install or update the driver, until `nvidia-smi` lists the GPU");
    }
    if (status == cudaErrorNoDevice || (status == cudaSuccess && count == 0)) {
        static_cast<void>(cudaGetLastError());
        throw Error(ErrorCode::backend, "CUDA sees no GPU; check `nvidia-smi` and CUDA_VISIBLE_DEVICES");
    }
    check(status, "count the GPUs");
    check(cudaGetDevice(&device), "tell the current GPU");
    cudaDeviceProp properties{};
    check(cudaGetDeviceProperties(&properties, device), "tell what the GPU is");
    check(cudaFree(nullptr), "start on the GPU");  // frees nothing, but starts; TensorRT may crash where CUDA does not
    return Gpu{properties.name, properties.major, properties.minor};
}

}  // namespace afformer::core::cuda
