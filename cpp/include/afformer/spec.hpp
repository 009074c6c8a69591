// What a deployed model knows about itself, read from the JSON that travels in the ONNX metadata or beside an engine.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "errors.hpp"
#include "image.hpp"

namespace afformer {

enum class InputKind {
    float32,  // `(n, 3, H, W)` float, RGB, already normalised with mean and std
    uint8,    // `(n, H, W, 3)` uint8, RGB bytes; the normalisation is in the graph
};

enum class OutputKind {
    logits,    // `(n, classes, ceil(H/8), ceil(W/8))` float
    classmap,  // `(n, H, W)` uint8 class ids at the input size
};

// Under which name the JSON lies in the metadata of an ONNX file.
inline constexpr const char* metadata_key = "afformer_spec";

struct ModelSpec {
    std::string variant;  // tiny, small or base
    Size input;
    std::vector<std::string> classes;                 // the index is the class id
    std::vector<std::array<std::uint8_t, 3>> palette;  // one RGB colour a class
    std::string dataset;
    int batch = 1;  // pictures per call
    InputKind input_kind = InputKind::float32;
    OutputKind output_kind = OutputKind::logits;
    std::string precision;          // fp32, fp16 or int8, inside the model
    std::array<double, 3> mean{};  // RGB, 0..255 scale
    std::array<double, 3> std{};   // RGB, 0..255 scale
    std::string checkpoint_sha256;
    std::string json;  // the text it came from

    [[nodiscard]] int num_classes() const noexcept { return static_cast<int>(classes.size()); }

    // A stem and two stages halve the sizes, odd ones rounded up.
    [[nodiscard]] Size logits_size() const noexcept { return {(input.height + 7) / 8, (input.width + 7) / 8}; }

    // Bytes of the input tensor of a whole batch.
    [[nodiscard]] std::size_t input_bytes() const noexcept {
        return elements(input) * 3 * (input_kind == InputKind::float32 ? sizeof(float) : 1);
    }

    // Bytes of the output tensor of a whole batch.
    [[nodiscard]] std::size_t output_bytes() const noexcept {
        return output_kind == OutputKind::classmap ? elements(input)
                                                   : elements(logits_size()) * classes.size() * sizeof(float);
    }

    // `where` names the file in errors. Throws Error(spec): no spec, one that cannot be, or one of a newer format.
    static ModelSpec from_json(const std::string& text, const std::string& where);

private:
    [[nodiscard]] std::size_t elements(Size size) const noexcept {
        return static_cast<std::size_t>(batch) * static_cast<std::size_t>(size.height) *
               static_cast<std::size_t>(size.width);
    }
};

namespace detail {

inline constexpr int spec_version = 1;
inline constexpr int max_classes = 256;   // class maps are bytes here
inline constexpr int max_length = 65535;  // keeps every product of sizes far inside 64 bits

// A parser's message quotes what it stumbled over, which may be long and end inside a character.
inline std::string quotable(std::string message) {
    constexpr std::size_t most = 300;
    if (message.size() > most) {
        message.replace(most, std::string::npos, "...");
    }
    std::replace_if(
        message.begin(), message.end(), [](char letter) { return letter < ' ' || letter > '~'; }, '?');
    return message;
}

// Reads JSON that may come from anywhere: its nesting is bounded, since what walks it later recurses.
inline nlohmann::json parse_json(const std::string& text, const std::string& where) {
    constexpr int deepest = 16;
    return nlohmann::json::parse(text, [&where](int depth, nlohmann::json::parse_event_t, nlohmann::json&) {
        if (depth > deepest) {
            throw Error(ErrorCode::spec,
                        where + ": its spec cannot be read (nested too deeply); export the model again");
        }
        return true;
    });
}

// A value as it stands in an error.
inline std::string shown(const nlohmann::json& value) { return quotable(value.dump()); }

// Reads the fields of one spec; what is wrong with them becomes one line that names the file.
class SpecReader {
public:
    SpecReader(const nlohmann::json& fields, const std::string& where) : fields_(fields), where_(where) {}

    [[nodiscard]] ModelSpec read() const {
        ModelSpec spec;
        spec.input_kind = one_of("input", {"float32", "uint8"}) == "uint8" ? InputKind::uint8 : InputKind::float32;
        spec.output_kind = one_of("output", {"logits", "classmap"}) == "logits" ? OutputKind::logits
                                                                               : OutputKind::classmap;
        require_implied(spec.input_kind);
        spec.variant = fields_.at("variant").get<std::string>();
        spec.dataset = fields_.at("dataset").get<std::string>();
        spec.checkpoint_sha256 = fields_.at("checkpoint_sha256").get<std::string>();
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
        require("color_order", "RGB");
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

}  // namespace detail

inline ModelSpec ModelSpec::from_json(const std::string& text, const std::string& where) {
    try {
        const nlohmann::json fields = detail::parse_json(text, where);
        const nlohmann::json& version = fields.at("spec_version");
        if (version != detail::spec_version) {
            throw Error(ErrorCode::spec, where + ": spec format " + detail::shown(version) +
                                             ", but this version reads format " + std::to_string(detail::spec_version) +
                                             "; use a matching afformer version or export the model again");
        }
        ModelSpec spec = detail::SpecReader(fields, where).read();
        spec.json = text;
        return spec;
    } catch (const nlohmann::json::exception& error) {
        throw Error(ErrorCode::spec, where + ": its spec cannot be read (" + detail::quotable(error.what()) +
                                         "); export the model again");
    }
}

}  // namespace afformer
