#include <afformer/errors.hpp>

#include "engine_info.hpp"
#include "json_text.hpp"
#include "spec_json.hpp"
#include "text.hpp"

namespace afformer::core {
namespace {

constexpr int engine_version = 1;

[[noreturn]] void refuse(const std::string& name, const std::string& value, const std::string& expected,
                         const std::string& where) {
    throw Error(ErrorCode::spec,
                where + ": " + name + " is '" + value + "', expected " + expected + "; build the engine again");
}

// A text that errors quote: they have one line.
std::string line(const nlohmann::json& text) { return one_line(text.get<std::string>()); }

EngineInfo parsed(const nlohmann::json& fields, const std::string& where) {
    const nlohmann::json &engine = fields.at("plan"), &tensorrt = fields.at("tensorrt"), &gpu = fields.at("gpu");
    EngineInfo file;
    file.spec = read_spec(fields.at("spec").dump(), where);
    file.engine_sha256 = engine.at("sha256").get<std::string>();
    file.version_compatible = engine.at("version_compatible").get<bool>();
    file.hardware_compatible = engine.at("hardware_compatible").get<bool>();
    file.library = line(tensorrt.at("library"));
    file.version = line(tensorrt.at("version"));
    if (version_numbers(file.version).size() < 3) {  // of no numbers, any version would be the same
        refuse("tensorrt.version", file.version, "three numbers or more like 10.3.0", where);
    }
    file.source = line(fields.at("source").at("name"));
    file.any_gpu = gpu.is_null();
    if (!file.any_gpu) {
        const std::string capability = line(gpu.at("compute_capability"));
        const std::vector<int> numbers = version_numbers(capability);
        if (numbers.size() != 2) {
            refuse("compute_capability", capability, "two numbers like 8.7", where);
        }
        file.gpu = {line(gpu.at("name")), numbers[0], numbers[1]};
    }
    return file;
}

}  // namespace

EngineInfo EngineInfo::from_json(const std::string& text, const std::string& where) {
    try {
        const nlohmann::json fields = parse_json(text, where);
        const nlohmann::json& version = fields.at("engine_version");
        if (version != engine_version) {
            throw Error(ErrorCode::spec, where + ": engine format " + shown(version) +
                                             ", but this version reads format " + std::to_string(engine_version) +
                                             "; use a matching afformer version or build the engine again");
        }
        return parsed(fields, where);
    } catch (const nlohmann::json::exception& error) {
        throw Error(ErrorCode::spec,
                    where + ": cannot be read (" + quotable(error.what()) + "); build the engine again");
    }
}

}  // namespace afformer::core
