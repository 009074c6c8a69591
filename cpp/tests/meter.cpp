// Measures the segmenter inside the library: afformer-meter MODEL FRAMES HEIGHT WIDTH allocations|turns|soak [COUNT]
// [options]
//
// FRAMES is a file of RGB pictures of one size, one behind the other, which are taken in turn.
//   allocations COUNT   prints how often our code asked for memory during COUNT frames, after a first one
//   turns               for each number on standard input, segments so many frames and prints the seconds it took
//   soak COUNT          prints the process's memory in KiB after 1, 100 and COUNT frames
#include <unistd.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "allocations.hpp"
#include "arguments.hpp"
#include "open.hpp"
#include "segmenter.hpp"

namespace {

namespace core = afformer::core;

// A slot whose engine's own allocations are not counted.
class UncountedSlot final : public core::Slot {
public:
    explicit UncountedSlot(std::unique_ptr<core::Slot> slot) : slot_(std::move(slot)) {}

    [[nodiscard]] void* input() noexcept override { return slot_->input(); }

    const void* run() override {
        const bool before = std::exchange(counting, false);
        const void* answer = slot_->run();
        counting = before;
        return answer;
    }

private:
    std::unique_ptr<core::Slot> slot_;
};

class Uncounted final : public core::Model {
public:
    explicit Uncounted(std::unique_ptr<core::Model> model) : model_(std::move(model)) {}

    [[nodiscard]] const afformer::ModelSpec& spec() const noexcept override { return model_->spec(); }
    [[nodiscard]] const std::string& description() const noexcept override { return model_->description(); }
    [[nodiscard]] std::size_t most_slots() const noexcept override { return model_->most_slots(); }
    [[nodiscard]] std::unique_ptr<core::Slot> make_slot() override {
        return std::make_unique<UncountedSlot>(model_->make_slot());
    }

private:
    std::unique_ptr<core::Model> model_;
};

class Frames {
public:
    Frames(const std::string& path, int height, int width)
        : height_(height), width_(width), size_(3 * std::size_t(height) * std::size_t(width)) {
        std::ifstream file(path, std::ios::binary);
        bytes_.assign(std::istreambuf_iterator<char>(file), {});
        if (bytes_.size() < size_) {
            throw std::runtime_error(path + ": does not hold a frame of this size");
        }
    }

    [[nodiscard]] afformer::ImageView next() {
        const std::size_t count = bytes_.size() / size_;
        const char* frame = bytes_.data() + size_ * (shown_++ % count);
        return {reinterpret_cast<const std::uint8_t*>(frame), height_, width_};
    }

    [[nodiscard]] std::size_t pixels() const noexcept { return size_ / 3; }

private:
    int height_, width_;
    std::size_t size_;
    std::vector<char> bytes_;
    std::size_t shown_ = 0;
};

long resident_kib() {
    long total = 0, resident = 0;
    std::ifstream("/proc/self/statm") >> total >> resident;
    return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

void measure(const Arguments& arguments) {
    const auto& words = arguments.words;
    Frames frames(words.at(1), std::stoi(words.at(2)), std::stoi(words.at(3)));
    core::Segmenter segment(std::make_unique<Uncounted>(core::open_file(words.at(0), arguments.options)),
                            arguments.options.fit);
    std::vector<std::uint8_t> map(frames.pixels());
    std::uint8_t* const ids = map.data();
    const auto run = [&](long count) {
        for (long i = 0; i < count; ++i) {
            const afformer::ImageView frame = frames.next();
            segment(&frame, &ids, 1);
        }
    };
    if (words.at(4) == "turns") {
        for (long count = 0; std::cin >> count;) {
            const auto start = std::chrono::steady_clock::now();
            run(count);
            const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
            std::cout << taken.count() << std::endl;
        }
    } else if (words.at(4) == "allocations") {
        run(1);
        counting = true;
        run(std::stol(words.at(5)));
        counting = false;
        std::cout << allocations << std::endl;
    } else if (words.at(4) == "soak") {
        run(1);
        std::cout << resident_kib() << " " << std::flush;
        run(99);
        std::cout << resident_kib() << " " << std::flush;
        run(std::stol(words.at(5)) - 100);
        std::cout << resident_kib() << std::endl;
    } else {
        throw std::runtime_error(words.at(4) + ": no such measurement");
    }
}

}  // namespace

int main(int argc, char** argv) {
    try {
        measure(Arguments(argc, argv));
        return 0;
    } catch (const std::exception& error) {
        std::cerr << error.what() << "\n";
        return 1;
    }
}
