// Segments a camera or a video with OpenCV: afformer-camera MODEL [CAMERA NUMBER, VIDEO OR STREAM]
//
// Shows the picture under its classes' colours; Esc or q ends.
#include <afformer/afformer.hpp>
#include <afformer/opencv.hpp>
#include <cstdio>
#include <exception>
#include <opencv2/core.hpp>
#include <opencv2/highgui.hpp>
#include <opencv2/imgproc.hpp>
#include <opencv2/videoio.hpp>
#include <stdexcept>
#include <string>

namespace {

cv::VideoCapture open_source(const std::string& source) {
    const bool is_number = source.find_first_not_of("0123456789") == std::string::npos;
    cv::VideoCapture capture;
    if (!(is_number ? capture.open(std::stoi(source)) : capture.open(source))) {
        throw std::runtime_error(source + ": cannot be opened; expected a camera's number, a video file or a stream");
    }
    return capture;
}

// Colours by class id, in OpenCV's order.
cv::Mat color_table(const afformer::ModelSpec& spec) {
    cv::Mat table(1, 256, CV_8UC3, cv::Scalar::all(0));
    for (std::size_t id = 0; id < spec.palette.size(); ++id) {
        const auto [red, green, blue] = spec.palette[id];
        table.at<cv::Vec3b>(static_cast<int>(id)) = {blue, green, red};
    }
    return table;
}

void run(const std::string& model, const std::string& source) {
    const afformer::Segmenter segment(model);
    const cv::Mat colors = color_table(segment.spec());
    cv::VideoCapture capture = open_source(source);
    afformer::ClassMap map;
    cv::Mat frame, painted, repeated;
    while (capture.read(frame)) {
        segment(afformer::view(frame), map);
        cv::cvtColor(afformer::mat(map), repeated, cv::COLOR_GRAY2BGR);
        cv::LUT(repeated, colors, painted);
        cv::addWeighted(frame, 0.5, painted, 0.5, 0, painted);
        cv::imshow("afformer", painted);
        const int key = cv::waitKey(1);
        if (key == 27 || key == 'q') {
            break;
        }
    }
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 2 || argc > 3) {
        std::fprintf(stderr, "usage: afformer-camera MODEL [CAMERA NUMBER, VIDEO OR STREAM]\n");
        return 2;
    }
    try {
        run(argv[1], argc > 2 ? argv[2] : "0");
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}
