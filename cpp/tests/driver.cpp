// Lets another program segment pictures: it opens a model, then answers requests on standard input until that ends.
//
// Request: the number of pictures, and for each its height, width, stride and order (0 RGB, 1 BGR), then its rows.
// Answer, one for the opening and one for each request: a status (0, or an ErrorCode), a length, and so many bytes: the
// description, the class maps one behind the other, or what went wrong. All numbers are 32 bits.
#include <afformer/afformer.hpp>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <fstream>
#include <ios>
#include <iostream>
#include <iterator>
#include <optional>
#include <string>
#include <vector>

#include "arguments.hpp"

namespace {

void answer(int status, const std::string& bytes) {
    const std::int32_t head[] = {status, static_cast<std::int32_t>(bytes.size())};
    std::cout.write(reinterpret_cast<const char*>(head), sizeof head);
    std::cout.write(bytes.data(), static_cast<std::streamsize>(bytes.size())).flush();
}

// Answers what `call` returns, or why it failed.
template <typename Call>
bool answered(const Call& call) {
    try {
        answer(0, call());
        return true;
    } catch (const afformer::Error& error) {
        answer(static_cast<int>(error.code()), error.what());
    } catch (const std::exception& error) {
        answer(-1, error.what());
    }
    return false;
}

template <typename T>
bool read(T* into, std::size_t count) {
    const auto bytes = static_cast<std::streamsize>(count * sizeof(T));
    return std::cin.read(reinterpret_cast<char*>(into), bytes).gcount() == bytes;
}

struct Picture {
    std::int32_t height, width, stride, order;
    std::vector<std::uint8_t> rows;

    [[nodiscard]] afformer::ImageView view() const {
        return {rows.data(), height, width, stride, order != 0 ? afformer::ColorOrder::bgr : afformer::ColorOrder::rgb};
    }
};

std::optional<std::vector<Picture>> request() {
    std::int32_t count = 0;
    if (!read(&count, 1)) {
        return std::nullopt;
    }
    std::vector<Picture> pictures;
    for (; count > 0; --count) {
        std::int32_t head[4];
        if (!read(head, 4)) {
            return std::nullopt;
        }
        Picture picture{head[0], head[1], head[2], head[3], {}};
        // No gap behind the last row, so that a sanitizer sees what is read beyond it.
        picture.rows.resize(std::size_t(picture.stride) * std::size_t(picture.height - 1) +
                            3 * std::size_t(picture.width));
        if (!read(picture.rows.data(), picture.rows.size())) {
            return std::nullopt;
        }
        pictures.push_back(std::move(picture));
    }
    return pictures;
}

std::string content_of(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

afformer::Segmenter open_model(const Arguments& arguments) {
    const std::string& model = arguments.words.at(0);
    if (!arguments.from_memory) {
        return afformer::Segmenter(model, arguments.options);
    }
    const std::string bytes = content_of(model);  // freed before the first picture
    if (model.find(".onnx") != std::string::npos) {
        return afformer::Segmenter::from_onnx(bytes.data(), bytes.size(), arguments.options);
    }
    return afformer::Segmenter::from_engine(bytes.data(), bytes.size(), content_of(model + ".json"), arguments.options);
}

std::string segmented(const afformer::Segmenter& segment, const std::vector<Picture>& pictures,
                      afformer::ClassMap& map) {
    std::string bytes;
    if (pictures.size() == 1) {
        segment(pictures.front().view(), map);
        return {map.ids.begin(), map.ids.end()};
    }
    std::vector<afformer::ImageView> views;
    for (const Picture& picture : pictures) {
        views.push_back(picture.view());
    }
    for (const afformer::ClassMap& one : segment.batch(views)) {
        bytes.append(one.ids.begin(), one.ids.end());
    }
    return bytes;
}

}  // namespace

int main(int argc, char** argv) {
    std::ios::sync_with_stdio(false);
    std::optional<afformer::Segmenter> segment;
    const bool opened = answered([&] {
        segment.emplace(open_model(Arguments(argc, argv)));
        return segment->description();
    });
    afformer::ClassMap map;
    while (opened) {
        const auto pictures = request();
        if (!pictures) {
            break;
        }
        answered([&] { return segmented(*segment, *pictures, map); });
    }
    return 0;
}
