// OpenCV's pictures. Not part of afformer.hpp: include it where OpenCV is at hand.
#pragma once

#include <opencv2/core/mat.hpp>

#include "errors.hpp"
#include "image.hpp"

namespace afformer {

// A picture as OpenCV reads it, `CV_8UC3` in BGR order; parts of larger ones too. It must outlive the view.
[[nodiscard]] inline ImageView view(const cv::Mat& picture, ColorOrder order = ColorOrder::bgr) {
    if (picture.empty() || picture.dims != 2 || picture.type() != CV_8UC3) {
        throw Error(ErrorCode::image,
                    "a picture must be a cv::Mat of type CV_8UC3 that is not empty; convert it to three "
                    "channels of 8 bits");
    }
    return ImageView(picture.data, picture.rows, picture.cols, static_cast<std::ptrdiff_t>(picture.step[0]), order);
}

// The class map as a `CV_8UC1`, without a copy; the map must outlive it.
[[nodiscard]] inline cv::Mat mat(ClassMap& map) {
    return cv::Mat(map.size.height, map.size.width, CV_8UC1, map.ids.data());
}

}  // namespace afformer
