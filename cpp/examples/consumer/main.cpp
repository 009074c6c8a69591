// Segments a grey picture, which shows that everything is in place: consumer MODEL
#include <afformer/afformer.hpp>
#include <cstdint>
#include <iostream>
#include <vector>

int main(int argc, char** argv) {
    if (argc != 2) {
        std::cerr << "usage: consumer MODEL\n";
        return 2;
    }
    try {
        const afformer::Segmenter segment(argv[1]);
        const std::vector<std::uint8_t> pixels(3 * 480 * 640, 128);
        const afformer::ClassMap map = segment(afformer::ImageView(pixels.data(), 480, 640));
        std::cout << segment.description() << ": " << segment.spec().classes[map.at(240, 320)] << "\n";
        return 0;
    } catch (const afformer::Error& error) {
        std::cerr << error.what() << "\n";
        return 1;
    }
}
