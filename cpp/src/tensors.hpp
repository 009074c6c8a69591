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

    [[nodiscard]] std::string text() const;
};

[[nodiscard]] ExpectedTensor expected_input(const ModelSpec& spec);
[[nodiscard]] ExpectedTensor expected_output(const ModelSpec& spec);

// A tensor as people write it, `image float[1, 3, 360, 480]`.
[[nodiscard]] std::string tensor_text(const std::string& name, const std::string& type,
                                      const std::vector<std::string>& shape);
[[nodiscard]] std::string tensor_text(const std::string& name, const std::string& type,
                                      const std::vector<std::int64_t>& shape);

}  // namespace afformer::core
