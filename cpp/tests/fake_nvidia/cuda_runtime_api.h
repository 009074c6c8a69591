// Stands in for CUDA's runtime in tests without a GPU: the part that afformer uses, working on the CPU's memory.
//
// AFFORMER_FAKE_GPUS is "no driver", "none", "old" (7.5) or anything else (8.6). AFFORMER_FAKE_CALLS names a file that
// gets the name of each call. AFFORMER_FAKE_FAIL names a call that fails, or NAME:N for its Nth time, and
// AFFORMER_FAKE_COMPLAINT what TensorRT says then.
//
// There are two GPUs of one kind. Each thread has a current one: the first thread that asks has that of the variable
// AFFORMER_FAKE_CURRENT, all others the first. Streams work on the GPU alone that they were made on.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

enum cudaError_t {
    cudaSuccess = 0,
    cudaErrorMemoryAllocation = 2,
    cudaErrorStubLibrary = 34,
    cudaErrorInsufficientDriver = 35,
    cudaErrorNoDevice = 100,
    cudaErrorInvalidResourceHandle = 400,
    cudaErrorUnknown = 999,
};
enum cudaMemcpyKind { cudaMemcpyHostToDevice = 1, cudaMemcpyDeviceToHost = 2 };
enum cudaStreamCaptureMode { cudaStreamCaptureModeThreadLocal = 1 };
constexpr unsigned cudaHostAllocDefault = 0, cudaStreamNonBlocking = 1;

namespace fake {

inline std::string setting(const char* name) {
    const char* value = std::getenv(name);
    return value != nullptr ? value : "";
}

// The calling thread's current GPU.
inline int& current() {
    static std::atomic<bool> asked{false};
    thread_local int gpu = asked.exchange(true) ? 0 : std::atoi(setting("AFFORMER_FAKE_CURRENT").c_str());
    return gpu;
}

}  // namespace fake

struct CUgraph_st {
    std::vector<std::function<void()>> work;
};
struct CUgraphExec_st : CUgraph_st {};
struct CUstream_st {
    CUgraph_st* recorded = nullptr;
    int gpu = fake::current();

    void put(const std::function<void()>& work) { recorded != nullptr ? recorded->work.push_back(work) : work(); }
};
using cudaStream_t = CUstream_st*;
using cudaGraph_t = CUgraph_st*;
using cudaGraphExec_t = CUgraphExec_st*;

struct cudaDeviceProp {
    char name[256];
    int major, minor;
};

namespace fake {

// Notes the call, and tells whether it is to fail.
inline bool fails(const std::string& call) {
    static std::map<std::string, int> counts;
    static std::mutex mutex;
    const std::lock_guard<std::mutex> lock(mutex);
    if (std::FILE* calls = std::fopen(setting("AFFORMER_FAKE_CALLS").c_str(), "a")) {
        std::fputs((call + "\n").c_str(), calls);
        std::fclose(calls);
    }
    const std::string failing = setting("AFFORMER_FAKE_FAIL");
    return failing == call || failing == call + ":" + std::to_string(++counts[call]);
}

template <typename Work>
cudaError_t call(const char* name, const Work& work, cudaError_t failure = cudaErrorUnknown) {
    if (fails(name)) {
        return failure;
    }
    work();
    return cudaSuccess;
}

// The same on a stream.
template <typename Work>
cudaError_t call_on(cudaStream_t stream, const char* name, const Work& work) {
    return stream->gpu == current() ? call(name, work) : cudaErrorInvalidResourceHandle;
}

}  // namespace fake

inline cudaError_t cudaGetDeviceCount(int* count) {
    const std::string gpus = fake::setting("AFFORMER_FAKE_GPUS");
    *count = 0;
    if (gpus == "no driver") {
        return cudaErrorInsufficientDriver;
    }
    return gpus == "none" ? cudaErrorNoDevice : fake::call("cudaGetDeviceCount", [&] { *count = 2; });
}
inline cudaError_t cudaGetDevice(int* device) {
    return fake::call("cudaGetDevice", [&] { *device = fake::current(); });
}
inline cudaError_t cudaSetDevice(int device) {
    return fake::call("cudaSetDevice", [&] { fake::current() = device; });
}
inline cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
    const bool old = fake::setting("AFFORMER_FAKE_GPUS") == "old";
    return fake::call("cudaGetDeviceProperties", [&] { *properties = {"Fake GPU", old ? 7 : 8, old ? 5 : 6}; });
}
inline cudaError_t cudaRuntimeGetVersion(int* version) {
    return fake::call("cudaRuntimeGetVersion", [&] { *version = 12060; });
}
inline cudaError_t cudaGetLastError() { return cudaSuccess; }
inline const char* cudaGetErrorName(cudaError_t error) {
    return error == cudaErrorMemoryAllocation        ? "cudaErrorMemoryAllocation"
           : error == cudaErrorInvalidResourceHandle ? "cudaErrorInvalidResourceHandle"
                                                     : "cudaErrorUnknown";
}
inline const char* cudaGetErrorString(cudaError_t error) {
    return error == cudaErrorMemoryAllocation ? "out of memory" : "unknown error";
}

inline cudaError_t cudaHostAlloc(void** memory, std::size_t bytes, unsigned) {
    return fake::call("cudaHostAlloc", [&] { *memory = std::malloc(bytes); }, cudaErrorMemoryAllocation);
}
inline cudaError_t cudaMalloc(void** memory, std::size_t bytes) {
    return fake::call("cudaMalloc", [&] { *memory = std::malloc(bytes); }, cudaErrorMemoryAllocation);
}
inline cudaError_t cudaFreeHost(void* memory) {
    return fake::call("cudaFreeHost", [&] { std::free(memory); });
}
inline cudaError_t cudaFree(void* memory) {
    return fake::call("cudaFree", [&] { std::free(memory); });
}
inline cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind, cudaStream_t stream) {
    return fake::call_on(stream, "cudaMemcpyAsync", [&] { stream->put([=] { std::memcpy(to, from, bytes); }); });
}

inline cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
    return fake::call("cudaStreamCreateWithFlags", [&] { *stream = new CUstream_st; });
}
inline cudaError_t cudaStreamDestroy(cudaStream_t stream) {
    return fake::call("cudaStreamDestroy", [&] { delete stream; });
}
inline cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
    return fake::call_on(stream, "cudaStreamSynchronize", [] {});
}
inline cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
    return fake::call_on(stream, "cudaStreamBeginCapture", [&] { stream->recorded = new CUgraph_st; });
}
// As CUDA's own: a failure still ends the recording, and gives none.
inline cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
    *graph = std::exchange(stream->recorded, nullptr);
    if (fake::fails("cudaStreamEndCapture")) {
        delete std::exchange(*graph, nullptr);
        return cudaErrorUnknown;
    }
    return cudaSuccess;
}
inline cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t* ready, cudaGraph_t graph, unsigned long long) {
    return fake::call("cudaGraphInstantiateWithFlags", [&] { *ready = new CUgraphExec_st{*graph}; });
}
inline cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
    return fake::call("cudaGraphDestroy", [&] { delete graph; });
}
inline cudaError_t cudaGraphExecDestroy(cudaGraphExec_t graph) {
    return fake::call("cudaGraphExecDestroy", [&] { delete graph; });
}
inline cudaError_t cudaGraphLaunch(cudaGraphExec_t graph, cudaStream_t stream) {
    return fake::call_on(stream, "cudaGraphLaunch", [&] {
        for (const auto& work : graph->work) {
            work();
        }
    });
}
