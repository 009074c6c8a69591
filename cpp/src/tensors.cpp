#include "tensors.hpp"

#include <afformer/errors.hpp>
#include <afformer/image.hpp>
#include <cstddef>

namespace afformer::core {

namespace {

std::string joined(const std::vector<std::string>& texts) {
    std::string all;
    for (const std::string& text : texts) {
        all += (all.empty() ? "" : " and ") + text;
    }
    return all.empty() ? "none" : all;
}

std::string text_of(const ExpectedTensor& tensor) {
    return tensor_text(tensor.name, tensor.type == TensorType::uint8 ? "uint8" : "float32", tensor.shape);
}

}  // namespace

ExpectedTensor expected_input(const ModelSpec& spec) {
    const auto [height, width] = spec.input;
    if (spec.input_kind == InputKind::uint8) {
        return {"image", TensorType::uint8, {spec.batch, height, width, 3}};
    }
    return {"image", TensorType::float32, {spec.batch, 3, height, width}};
}

ExpectedTensor expected_output(const ModelSpec& spec) {
    const auto [height, width] = spec.input;
    if (spec.output_kind == OutputKind::classmap) {
        return {"classmap", TensorType::uint8, {spec.batch, height, width}};
    }
    const Size grid = spec.logits_size();
    return {"logits", TensorType::float32, {spec.batch, spec.num_classes(), grid.height, grid.width}};
}

void require_tensors(const std::vector<std::string>& found, const ModelSpec& spec, const std::string& name,
                     const std::string& kind, const std::string& remedy) {
    const std::vector<std::string> expected{text_of(expected_input(spec)), text_of(expected_output(spec))};
    if (found != expected) {
        throw Error(ErrorCode::backend, name + ": differs from its own spec: expected the tensors " + joined(expected) +
                                            ", but the " + kind + " has " + joined(found) + "; " + remedy);
    }
}

std::string tensor_text(const std::string& name, const std::string& type, const std::vector<std::string>& shape) {
    std::string text = name + " " + type + "[";
    for (std::size_t i = 0; i < shape.size(); ++i) {
        text += (i == 0 ? "" : ", ") + shape[i];
    }
    return text + "]";
}

std::string tensor_text(const std::string& name, const std::string& type, const std::vector<std::int64_t>& shape) {
    std::vector<std::string> lengths;
    for (const std::int64_t length : shape) {
        lengths.push_back(std::to_string(length));
    }
    return tensor_text(name, type, lengths);
}

}  // namespace afformer::core
