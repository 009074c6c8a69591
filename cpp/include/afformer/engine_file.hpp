// What lies beside a TensorRT plan, as `MODEL.engine.json`: a plan has no room for a spec and loads only where it fits.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <ios>
#include <nlohmann/json.hpp>
#include <string>
#include <system_error>
#include <tuple>
#include <vector>

#include "errors.hpp"
#include "sha256.hpp"
#include "spec.hpp"

namespace afformer {

// An NVIDIA GPU.
struct Gpu {
    std::string name;
    int major = 0;  // compute capability
    int minor = 0;

    [[nodiscard]] std::string text() const {
        return name + " (compute capability " + std::to_string(major) + "." + std::to_string(minor) + ")";
    }

    friend bool operator==(const Gpu& a, const Gpu& b) noexcept {
        return std::tie(a.name, a.major, a.minor) == std::tie(b.name, b.major, b.minor);
    }
};

namespace detail {

inline constexpr int engine_version = 1;

inline std::filesystem::path json_path(const std::filesystem::path& plan) { return plan.string() + ".json"; }

// `10.3.0.26` or `10.3.0.post1` as numbers, up to the first part that is none.
inline std::vector<int> version_numbers(const std::string& version) {
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

// A word as a shell takes it.
inline std::string shell_quoted(const std::string& word) {
    constexpr const char* plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_@%+=:,./-";
    if (!word.empty() && word.find_first_not_of(plain) == std::string::npos) {
        return word;
    }
    std::string quoted = "'";
    for (const char letter : word) {
        quoted += letter == '\'' ? std::string("'\"'\"'") : std::string(1, letter);
    }
    return quoted + "'";
}

// `remedy` ends the error.
inline std::string read_bytes(const std::filesystem::path& path, ErrorCode code, const std::string& remedy) {
    std::error_code problem;
    if (!std::filesystem::is_regular_file(path, problem)) {
        throw Error(code, path.string() + ": no such file" + remedy);
    }
    const std::uintmax_t size = std::filesystem::file_size(path, problem);
    std::string bytes(problem ? 0 : static_cast<std::size_t>(size), '\0');
    std::ifstream file(path, std::ios::binary);
    if (problem || !file.read(bytes.data(), static_cast<std::streamsize>(bytes.size()))) {
        throw Error(code, path.string() + ": cannot be read" + remedy);
    }
    return bytes;
}

}  // namespace detail

// What is known about a plan, as `afformer-cli engine` writes it.
struct EngineFile {
    ModelSpec spec;
    std::string plan_sha256;
    std::string library;  // tensorrt or tensorrt_rtx
    std::string version;  // of the library that built it
    bool any_gpu = false;  // made for no GPU in particular
    Gpu gpu;
    std::string source;  // name of the ONNX file
    bool version_compatible = false;
    bool hardware_compatible = false;  // other GPUs, Ampere or later, may run it

    // Throws Error(spec): nothing lies beside the plan, or nothing that can be read.
    static EngineFile beside(const std::filesystem::path& plan) {
        const std::filesystem::path path = detail::json_path(plan);
        return from_json(detail::read_bytes(path, ErrorCode::spec,
                                            ", and without it the engine's classes and size are unknown; keep the JSON "
                                            "beside its engine, or build both with `afformer-cli engine`"),
                         path.string());
    }

    // `where` names the file in errors. Throws Error(spec).
    static EngineFile from_json(const std::string& text, const std::string& where) {
        try {
            const nlohmann::json fields = detail::parse_json(text, where);
            const nlohmann::json& version = fields.at("engine_version");
            if (version != detail::engine_version) {
                throw Error(ErrorCode::spec, where + ": engine format " + detail::shown(version) +
                                                 ", but this version reads format " +
                                                 std::to_string(detail::engine_version) +
                                                 "; use a matching afformer version or build the engine again");
            }
            return parsed(fields, where);
        } catch (const nlohmann::json::exception& error) {
            throw Error(ErrorCode::spec,
                        where + ": cannot be read (" + detail::quotable(error.what()) + "); build the engine again");
        }
    }

    // The plan's bytes. Throws Error(backend) if they are not those that this describes.
    [[nodiscard]] std::string read_plan(const std::filesystem::path& path) const {
        std::string plan = detail::read_bytes(path, ErrorCode::backend, "");
        if (detail::sha256(plan.data(), plan.size()) != plan_sha256) {
            throw Error(ErrorCode::backend, path.string() + ": is not the engine that " +
                                                detail::json_path(path).filename().string() +
                                                " describes, or not all of it; copy both again, or build the engine "
                                                "again");
        }
        return plan;
    }

    // The line that builds such a plan again from the same ONNX file.
    [[nodiscard]] std::string command(const std::string& plan) const {
        return "afformer-cli engine " + detail::shell_quoted(source) + " -o " + detail::shell_quoted(plan) +
               " --precision " + spec.precision + (library == "tensorrt_rtx" ? " --rtx" : "");
    }

    // Throws Error(backend) unless TensorRT of this version on this GPU may run the plan at `path`.
    void require_fit(const std::filesystem::path& path, const std::string& installed, const Gpu& here) const {
        const std::string remedy =
            "; build it again on this machine (`" + command(path.filename().string()) + "`)";
        require_library(path, installed, remedy);
        if (any_gpu) {
            return;
        }
        if (hardware_compatible) {
            if (here.major < ampere) {
                throw Error(ErrorCode::backend, path.string() + ": runs on GPUs of compute capability 8.0 or later, " +
                                                    "but here is " + here.text() + remedy);
            }
        } else if (!(gpu == here)) {
            throw Error(ErrorCode::backend, path.string() + ": was built for " + gpu.text() + ", but here is " +
                                                here.text() + remedy + ", or once with --hardware-compatible");
        }
    }

private:
    static constexpr int ampere = 8;

    static EngineFile parsed(const nlohmann::json& fields, const std::string& where) {
        const nlohmann::json &plan = fields.at("plan"), &tensorrt = fields.at("tensorrt"), &gpu = fields.at("gpu");
        EngineFile file;
        file.spec = ModelSpec::from_json(fields.at("spec").dump(), where);
        file.plan_sha256 = plan.at("sha256").get<std::string>();
        file.version_compatible = plan.at("version_compatible").get<bool>();
        file.hardware_compatible = plan.at("hardware_compatible").get<bool>();
        file.library = tensorrt.at("library").get<std::string>();
        file.version = tensorrt.at("version").get<std::string>();
        file.source = fields.at("source").at("name").get<std::string>();
        file.any_gpu = gpu.is_null();
        if (!file.any_gpu) {
            const auto capability = gpu.at("compute_capability").get<std::string>();
            const std::vector<int> numbers = detail::version_numbers(capability);
            if (numbers.size() != 2) {
                throw Error(ErrorCode::spec, where + ": compute_capability is '" + capability +
                                                 "', expected two numbers like 8.7; build the engine again");
            }
            file.gpu = {gpu.at("name").get<std::string>(), numbers[0], numbers[1]};
        }
        return file;
    }

    void require_library(const std::filesystem::path& path, const std::string& installed,
                         const std::string& remedy) const {
        if (library != "tensorrt") {
            throw Error(ErrorCode::backend, path.string() + ": was built by the library '" + library +
                                                "', but this program runs engines of TensorRT" + remedy);
        }
        std::vector<int> wanted = detail::version_numbers(version), got = detail::version_numbers(installed);
        const std::size_t common = std::min(wanted.size(), got.size());
        wanted.resize(common);
        got.resize(common);
        if (got == wanted || (got > wanted && version_compatible)) {
            return;
        }
        std::string told =
            path.string() + ": was built by TensorRT " + version + ", but " + installed + " is installed";
        if (version_compatible) {
            told += "; TensorRT " + version + " or later runs it" + remedy;
        } else {
            told += remedy + (got > wanted ? ", or once with --version-compatible" : "");
        }
        throw Error(ErrorCode::backend, told);
    }
};

}  // namespace afformer
