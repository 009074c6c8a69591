// Runs the parts of the library on what standard input holds, for the tests.
//
// A request is a line, a command and its words, and then as many bytes as they imply. The reply is a line, `ok`, how
// often the library allocated and the number of bytes, and then these; or `error`, its code and the number of bytes of
// its message, and then these. Two requests have no reply: `fresh` starts with new objects, and `fail N` lets the N-th
// allocation of the next request fail.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <new>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include <afformer/errors.hpp>
#include <afformer/spec.hpp>

#include "postprocess.hpp"
#include "preprocess.hpp"
#include "spec_json.hpp"

namespace {

std::size_t allocations = 0;
std::size_t failing = 0;  // the allocation that fails, as `allocations` counts them

}  // namespace

// Out of line: where they are expanded, g++ 12 takes the pair of malloc and delete for a mistake.
[[gnu::noinline]] void* operator new(std::size_t size) {
    ++allocations;
    void* const memory = allocations != failing ? std::malloc(size != 0 ? size : 1) : nullptr;
    if (memory == nullptr) {
        throw std::bad_alloc();
    }
    return memory;
}

[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace {

namespace core = afformer::core;
using afformer::Size;
using Bytes = std::vector<std::uint8_t>;

// Exactly as long as it must be, so that the address sanitizer sees every byte too far.
Bytes read_bytes(std::size_t count) {
    Bytes bytes(count);
    std::cin.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(count));
    return bytes;
}

template <typename T>
std::vector<T> read_array(std::size_t count) {
    std::vector<T> values(count);
    std::cin.read(reinterpret_cast<char*>(values.data()), static_cast<std::streamsize>(count * sizeof(T)));
    return values;
}

Size read_size(std::istream& words) {
    Size size;
    words >> size.height >> size.width;
    return size;
}

std::size_t area(Size size) { return static_cast<std::size_t>(size.height) * static_cast<std::size_t>(size.width); }

// What the runtime wrote, and how often it allocated.
struct Outcome {
    Bytes bytes;
    std::size_t allocations = 0;
};

std::size_t to_fail = 0;  // of the next work's allocations; 0 if none shall

// Lets `work` fill `count` bytes.
template <typename Work>
Outcome counted(std::size_t count, Work&& work) {
    Outcome outcome{Bytes(count, 0xA5), 0};
    const std::size_t before = allocations;
    failing = to_fail != 0 ? before + to_fail : 0;
    to_fail = 0;
    work(outcome.bytes.data());
    failing = 0;
    outcome.allocations = allocations - before;
    return outcome;
}

// `spec LENGTH`, then the JSON: what was read of it, as JSON.
Outcome answer_spec(std::istream& words) {
    std::size_t length = 0;
    words >> length;
    const Bytes text = read_bytes(length);
    const auto spec = core::read_spec({text.begin(), text.end()}, "model.onnx");
    const nlohmann::json fields{
        {"variant", spec.variant},
        {"input_hw", {spec.input.height, spec.input.width}},
        {"classes", spec.classes},
        {"palette", spec.palette},
        {"dataset", spec.dataset},
        {"batch", spec.batch},
        {"input", spec.input_kind == afformer::InputKind::float32 ? "float32" : "uint8"},
        {"output", spec.output_kind == afformer::OutputKind::logits ? "logits" : "classmap"},
        {"precision", spec.precision},
        {"mean", spec.mean},
        {"std", spec.std},
        {"color_order", spec.color_order == afformer::ColorOrder::rgb ? "RGB" : "BGR"},
        {"checkpoint_sha256", spec.checkpoint_sha256},
        {"num_classes", spec.num_classes()},
        {"logits_hw", {spec.logits_size().height, spec.logits_size().width}},
        {"input_bytes", spec.input_bytes()},
        {"output_bytes", spec.output_bytes()},
        {"json", spec.json},
    };
    const std::string dumped = fields.dump();
    return {Bytes(dumped.begin(), dumped.end()), 0};
}

// Keeps what an application keeps: one preprocessor a model, one postprocessor.
class Stage {
public:
    // `prepare KERNELS FIT ORDER HEIGHT WIDTH STRIDE LENGTH`, the spec of LENGTH bytes, the picture: `Prepared` as four
    // int32 and two doubles, then the tensor. KERNELS is `native` or `scalar`.
    Outcome answer_prepare(std::istream& words) {
        std::string kernels;
        std::string fit;
        std::string order;
        std::ptrdiff_t stride = 0;
        std::size_t length = 0;
        words >> kernels >> fit >> order;
        const Size size = read_size(words);
        words >> stride >> length;
        const Bytes text = read_bytes(length);
        const Bytes pixels = read_bytes(static_cast<std::size_t>((size.height - 1) * stride + 3 * size.width));
        const auto spec = core::read_spec({text.begin(), text.end()}, "model.onnx");
        const std::string key = kernels + fit + spec.json;
        if (prepare_ == nullptr || key != key_) {
            key_ = key;
            prepare_ =
                std::make_unique<core::Preprocessor>(spec, fit == "pad" ? afformer::Fit::pad : afformer::Fit::stretch,
                                                     kernels == "scalar" ? core::scalar_kernels : core::native_kernels);
        }
        const afformer::ImageView picture(pixels.data(), size.height, size.width, stride,
                                          order == "bgr" ? afformer::ColorOrder::bgr : afformer::ColorOrder::rgb);
        core::Prepared prepared{};
        Outcome outcome = counted(spec.input_bytes() / static_cast<std::size_t>(spec.batch),
                                  [&](std::uint8_t* tensor) { prepared = (*prepare_)(picture, tensor); });
        const Bytes head = packed(prepared);
        outcome.bytes.insert(outcome.bytes.begin(), head.begin(), head.end());
        return outcome;
    }

    // `from_logits CLASSES HEIGHT WIDTH SPAN_Y SPAN_X OUT_HEIGHT OUT_WIDTH LENGTH`, LENGTH floats: the class map.
    Outcome answer_from_logits(std::istream& words) {
        int classes = 0;
        double span_y = 0;
        double span_x = 0;
        std::size_t length = 0;
        words >> classes;
        const Size grid = read_size(words);
        words >> span_y >> span_x;
        const Size out = read_size(words);
        words >> length;
        const auto logits = read_array<float>(length);
        return counted(area(out), [&](std::uint8_t* ids) {
            finish_.from_logits(logits.data(), classes, grid, span_y, span_x, out, ids);
        });
    }

    // `resize HEIGHT WIDTH COVERED_HEIGHT COVERED_WIDTH OUT_HEIGHT OUT_WIDTH`, the class map: another one.
    Outcome answer_resize(std::istream& words) {
        const Size size = read_size(words);
        const Size covered = read_size(words);
        const Size out = read_size(words);
        const Bytes classmap = read_bytes(area(size));
        return counted(area(out), [&](std::uint8_t* ids) { finish_.resize(classmap.data(), size, covered, out, ids); });
    }

private:
    static Bytes packed(const core::Prepared& prepared) {
        const std::vector<std::int32_t> sizes{prepared.image.height, prepared.image.width, prepared.covered.height,
                                              prepared.covered.width};
        const std::vector<double> spans{prepared.span_y, prepared.span_x};
        Bytes bytes;
        const auto append = [&bytes](const void* values, std::size_t count) {
            const auto* first = static_cast<const std::uint8_t*>(values);
            bytes.insert(bytes.end(), first, first + count);
        };
        append(sizes.data(), sizes.size() * sizeof sizes[0]);
        append(spans.data(), spans.size() * sizeof spans[0]);
        return bytes;
    }

    std::unique_ptr<core::Preprocessor> prepare_;
    std::string key_;
    core::Postprocessor finish_;
};

Outcome answer(Stage& stage, const std::string& line) {
    std::istringstream words(line);
    std::string command;
    words >> command;
    if (command == "kernels") {
        const std::string name = core::native_kernels.name;
        return {Bytes(name.begin(), name.end()), 0};
    }
    if (command == "spec") {
        return answer_spec(words);
    }
    if (command == "prepare") {
        return stage.answer_prepare(words);
    }
    if (command == "from_logits") {
        return stage.answer_from_logits(words);
    }
    if (command == "resize") {
        return stage.answer_resize(words);
    }
    throw std::logic_error("no such command: " + command);
}

// Whether the line was one of those that have no reply.
bool obeyed(Stage& stage, const std::string& line) {
    if (line == "fresh") {
        stage = Stage();
        return true;
    }
    const std::string fail = "fail ";
    if (line.compare(0, fail.size(), fail) == 0) {
        to_fail = std::stoul(line.substr(fail.size()));
        return true;
    }
    return false;
}

void reply(const std::string& head, const void* bytes, std::size_t count) {
    std::cout << head << ' ' << count << '\n';
    std::cout.write(static_cast<const char*>(bytes), static_cast<std::streamsize>(count));
    std::cout.flush();
}

}  // namespace

int main() {
    std::ios::sync_with_stdio(false);
    Stage stage;
    for (std::string line; std::getline(std::cin, line);) {
        if (obeyed(stage, line)) {
            continue;
        }
        try {
            const Outcome outcome = answer(stage, line);
            reply("ok " + std::to_string(outcome.allocations), outcome.bytes.data(), outcome.bytes.size());
        } catch (const afformer::Error& error) {
            const std::string message = error.what();
            reply("error " + std::to_string(static_cast<int>(error.code())), message.data(), message.size());
        } catch (const std::bad_alloc&) {
            reply("error 5", nullptr, 0);
        }
    }
    return 0;
}
