// Segments a picture file: afformer-image MODEL PICTURE [MASK.png [OVERLAY.png]]
//
// Takes pixels as they are stored: a rotation that a phone noted in the EXIF data is not applied, unlike in Python.
// Prints each class's share of the picture, writes the class map in the model's colours, and the picture under it.
#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_WRITE_IMPLEMENTATION
#include <stb/stb_image.h>
#include <stb/stb_image_write.h>

#include <afformer/afformer.hpp>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using Pixels = std::unique_ptr<stbi_uc, decltype(&stbi_image_free)>;

Pixels read_picture(const std::string& path, int& height, int& width) {
    int channels = 0;
    Pixels pixels(stbi_load(path.c_str(), &width, &height, &channels, 3), stbi_image_free);
    if (pixels == nullptr) {
        throw std::runtime_error(path + ": cannot be read: " + stbi_failure_reason());
    }
    return pixels;
}

void write_png(const std::string& path, afformer::Size size, const std::vector<std::uint8_t>& rgb) {
    if (stbi_write_png(path.c_str(), size.width, size.height, 3, rgb.data(), 3 * size.width) == 0) {
        throw std::runtime_error(path + ": cannot be written");
    }
}

void print_shares(const afformer::ModelSpec& spec, const afformer::ClassMap& map) {
    std::vector<std::size_t> counts(spec.classes.size());
    for (const std::uint8_t id : map.ids) {
        ++counts.at(id);
    }
    for (std::size_t id = 0; id < counts.size(); ++id) {
        std::printf("%6.2f %%  %s\n", 100.0 * double(counts[id]) / double(map.ids.size()), spec.classes[id].c_str());
    }
}

// The classes' colours, mixed with `share` of the picture.
std::vector<std::uint8_t> painted(const afformer::ModelSpec& spec, const afformer::ClassMap& map, const stbi_uc* pixels,
                                  double share) {
    std::vector<std::uint8_t> rgb(map.ids.size() * 3);
    for (std::size_t i = 0; i < rgb.size(); ++i) {
        const std::uint8_t color = spec.palette.at(map.ids[i / 3])[i % 3];
        rgb[i] = static_cast<std::uint8_t>(share * pixels[i] + (1 - share) * color + 0.5);
    }
    return rgb;
}

void run(const std::vector<std::string>& args) {
    const afformer::Segmenter segment(args[0]);
    int height = 0, width = 0;
    const Pixels pixels = read_picture(args[1], height, width);
    const afformer::ClassMap map = segment(afformer::ImageView(pixels.get(), height, width));
    std::printf("%s\n", segment.description().c_str());
    print_shares(segment.spec(), map);
    if (args.size() > 2) {
        write_png(args[2], map.size, painted(segment.spec(), map, pixels.get(), 0.0));
    }
    if (args.size() > 3) {
        write_png(args[3], map.size, painted(segment.spec(), map, pixels.get(), 0.5));
    }
}

}  // namespace

int main(int argc, char** argv) {
    const std::vector<std::string> args(argv + 1, argv + argc);
    if (args.size() < 2 || args.size() > 4) {
        std::fprintf(stderr, "usage: afformer-image MODEL PICTURE [MASK.png [OVERLAY.png]]\n");
        return 2;
    }
    try {
        run(args);
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}
