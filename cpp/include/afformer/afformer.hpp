// AFFormer semantic segmentation: from a picture to its class map.
//
//     const afformer::Segmenter segment("model.onnx");
//     afformer::ClassMap map = segment(afformer::ImageView(pixels, height, width));
#pragma once

#include "errors.hpp"
#include "image.hpp"
#include "options.hpp"
#include "segmenter.hpp"
#include "spec.hpp"
