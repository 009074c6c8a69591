// The tensors that a model must have to keep its spec's promise.
#pragma once

#include <afformer/spec.hpp>
#include <cstdint>
#include <string>
#include <vector>

namespace afformer::core {

enum class TensorType { float32, uint8 };

struct ExpectedTensor {
    const char* name;
    TensorType type;
    std::vector<std::int64_t> shape;
};

[[nodiscard]] ExpectedTensor expected_input(const ModelSpec& spec);
[[nodiscard]] ExpectedTensor expected_output(const ModelSpec& spec);

// Throws Error(backend) unless `found`, a model's inputs and then its outputs as `tensor_text` writes them, are what
// its spec promises. `name` names the model in errors, `kind` says what it is, and `remedy` what to do.
void require_tensors(const std::vector<std::string>& found, const ModelSpec& spec, const std::string& name,
                     const std::string& kind, const std::string& remedy);

// A tensor as people write it, `image float32[1, 3, 360, 480]`, with numpy's name of the type.
[[nodiscard]] std::string tensor_text(const std::string& name, const std::string& type,
                                      const std::vector<std::string>& shape);
[[nodiscard]] std::string tensor_text(const std::string& name, const std::string& type,
                                      const std::vector<std::int64_t>& shape);

}  // namespace afformer::core
