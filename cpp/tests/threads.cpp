// Uses one segmenter from many threads: afformer-threads MODEL THREADS ROUNDS [options]
//
// Each thread segments the same pictures of several sizes in an order of its own, one by one and as batches, and opens
// and closes a segmenter of its own. Prints how many class maps were not those that one thread alone gives.
#include <afformer/afformer.hpp>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

#include "arguments.hpp"

namespace {

struct Picture {
    afformer::Size size;
    std::vector<std::uint8_t> pixels;

    // Blocks of noise, so that no two pictures have the same class map.
    Picture(int height, int width, unsigned seed)
        : size{height, width}, pixels(3U * unsigned(height) * unsigned(width)) {
        for (std::size_t i = 0; i < pixels.size(); ++i) {
            const std::size_t block = i / 3 / 8 + i % 3 * 1000 + seed * 7919U;
            pixels[i] = static_cast<std::uint8_t>(block * block * 2654435761U >> 9);
        }
    }

    [[nodiscard]] afformer::ImageView view() const { return {pixels.data(), size.height, size.width}; }
};

std::vector<Picture> make_pictures() {
    std::vector<Picture> pictures;
    for (unsigned i = 0; i < 12; ++i) {
        pictures.emplace_back(37 + 29 * int(i % 4), 41 + 23 * int(i % 3), i);
    }
    return pictures;
}

class Crowd {
public:
    explicit Crowd(const Arguments& arguments)
        : arguments_(arguments), segment_(arguments.words.at(0), arguments.options), pictures_(make_pictures()) {
        for (const Picture& picture : pictures_) {
            expected_.push_back(segment_(picture.view()).ids);
        }
    }

    // The number of class maps that are wrong.
    int run(unsigned threads, unsigned rounds) {
        std::vector<std::thread> crowd;
        for (unsigned who = 0; who < threads; ++who) {
            crowd.emplace_back([this, who, rounds] { count_wrong(who, rounds); });
        }
        for (std::thread& each : crowd) {
            each.join();
        }
        return wrong_;
    }

private:
    void count_wrong(unsigned who, unsigned rounds) {
        try {
            const afformer::Segmenter own(arguments_.words.at(0), arguments_.options);
            afformer::ClassMap map;
            for (unsigned round = 0; round < rounds; ++round) {
                for (std::size_t i = 0; i < pictures_.size(); ++i) {
                    const std::size_t at = (i * (2 * who + 1) + round) % pictures_.size();
                    segment_(pictures_[at].view(), map);
                    wrong_ += map.ids != expected_[at];
                }
                batch(who + round);
            }
            wrong_ += own(pictures_[0].view()).ids != expected_[0];
        } catch (const std::exception& error) {
            std::cerr << error.what() + std::string("\n");
            ++wrong_;
        }
    }

    void batch(std::size_t start) {
        std::vector<afformer::ImageView> several;
        for (std::size_t i = 0; i < 4; ++i) {
            several.push_back(pictures_[(start + i) % pictures_.size()].view());
        }
        const std::vector<afformer::ClassMap> maps = segment_.batch(several);
        for (std::size_t i = 0; i < maps.size(); ++i) {
            wrong_ += maps[i].ids != expected_[(start + i) % pictures_.size()];
        }
    }

    const Arguments& arguments_;
    const afformer::Segmenter segment_;
    const std::vector<Picture> pictures_;
    std::vector<std::vector<std::uint8_t>> expected_;
    std::atomic<int> wrong_{0};
};

}  // namespace

int main(int argc, char** argv) {
    try {
        const Arguments arguments(argc, argv);
        Crowd crowd(arguments);
        const auto number = [&](std::size_t i) { return static_cast<unsigned>(std::stoul(arguments.words.at(i))); };
        std::cout << crowd.run(number(1), number(2)) << "\n";
        return 0;
    } catch (const std::exception& error) {
        std::cerr << error.what() << "\n";
        return 1;
    }
}
