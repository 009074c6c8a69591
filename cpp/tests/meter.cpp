// Measures the segmenter inside the library: afformer-meter MODEL FRAMES HEIGHT WIDTH allocations|turns|soak [COUNT]
// [options]
//
// FRAMES is a file of RGB pictures of one size, one behind the other, which are taken in turn.
//   allocations COUNT   prints how often our code asked for memory during COUNT frames, after a first one
//   turns [CALLERS]     for each number on standard input, segments so many frames and prints the seconds it took;
//                       with CALLERS, so many threads share the segmenter and the frames
//   soak COUNT          prints the process's memory in KiB after 1, 100 and COUNT frames
#include <unistd.h>

#include <atomic>
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
#include <thread>
#include <utility>
#include <vector>

#include "allocations.hpp"
#include "arguments.hpp"
#include "open.hpp"
#include "segmenter.hpp"

namespace {

namespace core = afformer::core;

// A slot whose backend's own allocations are not counted.
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
    std::atomic<std::size_t> shown_{0};
};

long resident_kib() {
    long total = 0, resident = 0;
    std::ifstream("/proc/self/statm") >> total >> resident;
    return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

class Meter {
public:
    explicit Meter(const Arguments& arguments)
        : words_(arguments.words),
          frames_(words_.at(1), std::stoi(words_.at(2)), std::stoi(words_.at(3))),
          segment_(std::make_unique<Uncounted>(core::open_file(words_.at(0), arguments.options)),
                   arguments.options.fit),
          map_(frames_.pixels()) {}

    void measure() {
        if (words_.at(4) == "turns") {
            take_turns(words_.size() > 5 ? std::stoi(words_[5]) : 1);
        } else if (words_.at(4) == "allocations") {
            count_allocations(std::stol(words_.at(5)));
        } else if (words_.at(4) == "soak") {
            soak(std::stol(words_.at(5)));
        } else {
            throw std::runtime_error(words_.at(4) + ": no such measurement");
        }
    }

private:
    void run(long count, std::vector<std::uint8_t>& map) {
        std::uint8_t* const ids = map.data();
        for (long i = 0; i < count; ++i) {
            const afformer::ImageView frame = frames_.next();
            segment_(&frame, &ids, 1);
        }
    }

    void take_turns(int callers) {
        std::vector<std::vector<std::uint8_t>> maps(static_cast<std::size_t>(callers), map_);
        for (long count = 0; std::cin >> count;) {
            const auto start = std::chrono::steady_clock::now();
            std::vector<std::thread> others;
            for (std::size_t i = 1; i < maps.size(); ++i) {
                others.emplace_back([&, i] { run(count / callers, maps[i]); });
            }
            run(count - count / callers * (callers - 1), maps[0]);
            for (std::thread& other : others) {
                other.join();
            }
            const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
            std::cout << taken.count() << std::endl;
        }
    }

    void count_allocations(long count) {
        run(1, map_);
        counting = true;
        run(count, map_);
        counting = false;
        std::cout << allocations << std::endl;
    }

    void soak(long count) {
        run(1, map_);
        std::cout << resident_kib() << " " << std::flush;
        run(99, map_);
        std::cout << resident_kib() << " " << std::flush;
        run(count - 100, map_);
        std::cout << resident_kib() << std::endl;
    }

    const std::vector<std::string> words_;
    Frames frames_;
    core::Segmenter segment_;
    std::vector<std::uint8_t> map_;
};

}  // namespace

int main(int argc, char** argv) {
    try {
        Meter(Arguments(argc, argv)).measure();
        return 0;
    } catch (const std::exception& error) {
        std::cerr << error.what() << "\n";
        return 1;
    }
}
