// The JSON of a `ModelSpec`, as it travels in the ONNX metadata or in the file beside an engine.
#pragma once

#include <afformer/spec.hpp>
#include <string>

namespace afformer::core {

// Under which name it lies in the metadata of an ONNX file.
inline constexpr const char* metadata_key = "afformer_spec";

// `where` names the file in errors. Throws Error(spec): no spec, one that makes no sense, or one of a newer format.
[[nodiscard]] ModelSpec read_spec(const std::string& text, const std::string& where);

}  // namespace afformer::core
