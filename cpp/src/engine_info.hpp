// What lies beside a TensorRT engine, as `MODEL.engine.json`: an engine has no room for a spec and loads only where it
// fits.
#pragma once

#include <afformer/spec.hpp>
#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

namespace afformer::core {

// An NVIDIA GPU.
struct Gpu {
    std::string name;
    int major = 0;  // compute capability
    int minor = 0;

    [[nodiscard]] std::string text() const;
    [[nodiscard]] bool is(const Gpu& other) const noexcept;
};

// `10.3.0.26` or `10.3.0.post1` as numbers, up to the first part that is none.
[[nodiscard]] std::vector<int> version_numbers(const std::string& version);

// What is known about an engine, as `afformer-cli engine` writes it.
struct EngineInfo {
    ModelSpec spec;
    std::string engine_sha256;
    std::string library;   // tensorrt or tensorrt_rtx
    std::string version;   // of the library that built it: at least major, minor and patch
    bool any_gpu = false;  // made for no GPU in particular
    Gpu gpu;
    std::string source;  // name of the ONNX file
    bool version_compatible = false;
    bool hardware_compatible = false;    // other GPUs, Ampere or later, may run it
    std::string json_name = "its JSON";  // in errors

    // Throws Error(spec): nothing lies beside the engine, or nothing that can be read.
    static EngineInfo beside(const std::filesystem::path& engine);

    // `where` names the file in errors. Throws Error(spec).
    static EngineInfo from_json(const std::string& text, const std::string& where);

    // Throws Error(backend) unless these bytes are the engine that this describes. `name` names the engine in errors.
    void require_engine(const void* engine, std::size_t size, const std::string& name) const;

    // Throws Error(backend) unless TensorRT of the version `installed` on the GPU `here` may run the engine. `name`
    // names it in errors, `file_name` in the line that builds it again.
    void require_fit(const std::string& name, const std::string& file_name, const std::string& installed,
                     const Gpu& here) const;

private:
    [[nodiscard]] std::string command(const std::string& engine) const;
    void require_library(const std::string& name, const std::string& installed, const std::string& remedy) const;
    void require_version(const std::string& name, const std::string& installed, const std::string& remedy) const;
};

}  // namespace afformer::core
