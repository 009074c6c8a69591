#include "engine_info.hpp"

#include <afformer/errors.hpp>
#include <algorithm>
#include <tuple>

#include "origin.hpp"
#include "sha256.hpp"
#include "text.hpp"

namespace afformer::core {
namespace {

constexpr int ampere = 8;

}  // namespace

std::string Gpu::text() const {
    return name + " (compute capability " + std::to_string(major) + "." + std::to_string(minor) + ")";
}

bool Gpu::is(const Gpu& other) const noexcept {
    return std::tie(name, major, minor) == std::tie(other.name, other.major, other.minor);
}

std::vector<int> version_numbers(const std::string& version) {
    std::vector<int> numbers;
    for (std::size_t begin = 0; begin < version.size();) {
        const std::size_t end = std::min(version.find('.', begin), version.size());
        if (end == begin || end - begin > 6 || version.find_first_not_of("0123456789", begin) < end) {
            break;
        }
        numbers.push_back(std::stoi(version.substr(begin, end - begin)));
        begin = end + 1;
    }
    return numbers;
}

EngineInfo EngineInfo::beside(const std::filesystem::path& engine) {
    std::filesystem::path path = engine;
    path += ".json";
    const std::string json = read_file(path, ErrorCode::spec,
                                       ", and without it the engine's classes and size are unknown; keep the JSON "
                                       "beside its engine, or build both with `afformer-cli engine`");
    EngineInfo file = from_json(json, text_of(path));
    file.json_name = text_of(path.filename());
    return file;
}

void EngineInfo::require_engine(const void* engine, std::size_t size, const std::string& name) const {
    if (sha256(engine, size) != engine_sha256) {
        throw Error(ErrorCode::backend, name + ": is not the engine that " + json_name +
                                            " describes, or not all of it; copy both again, or build the engine again");
    }
}

// The line that builds such an engine again from the same ONNX file.
std::string EngineInfo::command(const std::string& engine) const {
    return "afformer-cli engine " + shell_quoted(source) + " -o " + shell_quoted(engine) + " --precision " +
           spec.precision + (library == "tensorrt_rtx" ? " --rtx" : "");
}

void EngineInfo::require_fit(const std::string& name, const std::string& file_name, const std::string& installed,
                             const Gpu& here) const {
    const std::string remedy = "; build it again on this machine (`" + command(file_name) + "`)";
    require_library(name, installed, remedy);
    if (any_gpu) {
        return;
    }
    if (hardware_compatible) {
        if (here.major < ampere) {
            throw Error(ErrorCode::backend, name + ": runs on GPUs of compute capability 8.0 or later, but here is " +
                                                here.text() + remedy);
        }
    } else if (!gpu.is(here)) {
        throw Error(ErrorCode::backend, name + ": was built for " + gpu.text() + ", but here is " + here.text() +
                                            remedy + ", or once with --hardware-compatible");
    }
}

void EngineInfo::require_library(const std::string& name, const std::string& installed,
                                 const std::string& remedy) const {
    if (library != "tensorrt") {
        throw Error(ErrorCode::backend, name + ": was built by the library '" + library +
                                            "', but this program runs engines of TensorRT" + remedy);
    }
    require_version(name, installed, remedy);
}

void EngineInfo::require_version(const std::string& name, const std::string& installed,
                                 const std::string& remedy) const {
    std::vector<int> wanted = version_numbers(version), got = version_numbers(installed);
    const std::size_t common = std::min(wanted.size(), got.size());
    wanted.resize(common);
    got.resize(common);
    if (got == wanted || (got > wanted && version_compatible)) {
        return;
    }
    std::string told = name + ": was built by TensorRT " + version + ", but " + installed + " is installed";
    if (version_compatible) {
        told += "; TensorRT " + version + " or later runs it" + remedy;
    } else {
        told += remedy + (got > wanted ? ", or once with --version-compatible" : "");
    }
    throw Error(ErrorCode::backend, told);
}

}  // namespace afformer::core
