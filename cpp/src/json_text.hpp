// JSON that may come from anywhere. Only what reads a file format includes this, as the parser is long to compile.
#pragma once

#include <afformer/errors.hpp>
#include <nlohmann/json.hpp>
#include <string>

#include "text.hpp"

namespace afformer::core {

// Its nesting is bounded, since what walks it later recurses. Throws Error(spec), or what the parser throws.
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

}  // namespace afformer::core
