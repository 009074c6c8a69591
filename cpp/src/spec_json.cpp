#include "spec_json.hpp"

#include <afformer/errors.hpp>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <utility>

#include "json_text.hpp"

namespace afformer::core {
namespace {

constexpr int spec_version = 1;
constexpr int max_classes = 256;   // class maps are bytes here
constexpr int max_length = 65535;  // keeps every product of sizes far inside 64 bits

// Reads the fields of one spec; what is wrong with them becomes one line that names the file.
class SpecReader {
public:
    SpecReader(const nlohmann::json& fields, const std::string& where) : fields_(fields), where_(where) {}

    [[nodiscard]] ModelSpec read() const {
        ModelSpec spec;
        spec.input_kind = one_of("input", {"float32", "uint8"}) == "uint8" ? InputKind::uint8 : InputKind::float32;
        spec.output_kind =
            one_of("output", {"logits", "classmap"}) == "logits" ? OutputKind::logits : OutputKind::classmap;
        require_implied(spec.input_kind);
        spec.variant = fields_.at("variant").get<std::string>();
        spec.dataset = fields_.at("dataset").get<std::string>();
        spec.checkpoint_sha256 = fields_.at("checkpoint_sha256").get<std::string>();
        spec.color_order = one_of("color_order", {"RGB", "BGR"}) == "RGB" ? ColorOrder::rgb : ColorOrder::bgr;
        spec.precision = one_of("precision", {"fp32", "fp16", "int8"});
        read_sizes(spec);
        read_normalisation(spec);
        read_labels(spec);
        return spec;
    }

private:
    [[noreturn]] void refuse(const std::string& problem) const {
        throw Error(ErrorCode::spec, where_ + ": " + problem);
    }

    [[nodiscard]] std::string one_of(const char* name, std::initializer_list<const char*> known) const {
        const nlohmann::json& value = fields_.at(name);
        for (const char* choice : known) {
            if (value == choice) {
                return choice;
            }
        }
        refuse(std::string(name) + " is " + shown(value) + ", which is none that is known");
    }

    // What follows from the rest, written for readers like this one: a model that says otherwise is not ours.
    void require_implied(InputKind kind) const {
        require("layout", kind == InputKind::float32 ? "NCHW" : "NHWC");
        require("stride", 8);
    }

    void require(const char* name, const nlohmann::json& known) const {
        const nlohmann::json& value = fields_.at(name);
        if (value != known) {
            refuse(std::string(name) + " is " + shown(value) + ", only " + shown(known) + " is known");
        }
    }

    void read_sizes(ModelSpec& spec) const {
        const nlohmann::json& size = fields_.at("input_hw");
        const nlohmann::json& batch = fields_.at("batch");
        if (size.size() != 2 || !is_whole(size.at(0), 1, max_length) || !is_whole(size.at(1), 1, max_length) ||
            !is_whole(batch, 1, max_length)) {
            refuse("input size and batch must be positive, at most " + std::to_string(max_length) + ", got " +
                   shown(size) + " and " + shown(batch));
        }
        spec.input = {size.at(0).get<int>(), size.at(1).get<int>()};
        spec.batch = batch.get<int>();
    }

    void read_normalisation(ModelSpec& spec) const {
        for (const auto& [name, target] : {std::pair{"mean", &spec.mean}, std::pair{"std", &spec.std}}) {
            const nlohmann::json& values = fields_.at(name);
            if (!values.is_array() || values.size() != target->size()) {
                refuse("mean and std must have three finite values each");
            }
            for (std::size_t i = 0; i < target->size(); ++i) {
                (*target)[i] = values.at(i).get<double>();
            }
        }
        for (std::size_t i = 0; i < spec.std.size(); ++i) {
            if (!std::isfinite(spec.mean[i]) || !std::isfinite(spec.std[i])) {
                refuse("mean and std must have three finite values each");
            }
            if (spec.std[i] <= 0) {
                refuse("std must be above 0");
            }
        }
    }

    void read_labels(ModelSpec& spec) const {
        spec.classes = fields_.at("classes").get<std::vector<std::string>>();
        const nlohmann::json& palette = fields_.at("palette");
        if (palette.size() != spec.classes.size()) {
            refuse("palette must have one colour a class (" + std::to_string(spec.classes.size()) + "), got " +
                   std::to_string(palette.size()));
        }
        if (spec.classes.empty()) {
            refuse("there must be at least one class");
        }
        if (spec.classes.size() > max_classes) {
            refuse("has " + std::to_string(spec.classes.size()) + " classes, but this runtime's class maps hold one " +
                   "byte a pixel, at most " + std::to_string(max_classes) + "; use the Python package");
        }
        for (const nlohmann::json& colour : palette) {
            spec.palette.push_back(read_colour(colour));
        }
    }

    [[nodiscard]] std::array<std::uint8_t, 3> read_colour(const nlohmann::json& colour) const {
        if (!colour.is_array() || colour.size() != 3 || !is_whole(colour[0], 0, 255) || !is_whole(colour[1], 0, 255) ||
            !is_whole(colour[2], 0, 255)) {
            refuse("palette colours must be three integers from 0 to 255");
        }
        return colour.get<std::array<std::uint8_t, 3>>();
    }

    [[nodiscard]] static bool is_whole(const nlohmann::json& value, int least, int most) {
        if (!value.is_number()) {
            return false;
        }
        const double number = value.get<double>();
        return number >= least && number <= most && std::floor(number) == number;
    }

    const nlohmann::json& fields_;
    const std::string& where_;
};

}  // namespace

ModelSpec read_spec(const std::string& text, const std::string& where) {
    try {
        const nlohmann::json fields = parse_json(text, where);
        const nlohmann::json& version = fields.at("spec_version");
        if (version != spec_version) {
            throw Error(ErrorCode::spec, where + ": spec format " + shown(version) +
                                             ", but this version reads format " + std::to_string(spec_version) +
                                             "; use a matching afformer version or export the model again");
        }
        ModelSpec spec = SpecReader(fields, where).read();
        spec.json = text;
        return spec;
    } catch (const nlohmann::json::exception& error) {
        throw Error(ErrorCode::spec,
                    where + ": its spec cannot be read (" + quotable(error.what()) + "); export the model again");
    }
}

}  // namespace afformer::core
