# TensorRT's runtime library with its headers and CUDA's runtime, as TensorRT::TensorRT.
#
# Give TENSORRT_ROOT (a folder with include/ and lib/) and CUDAToolkit_ROOT if they lie elsewhere than the system's.
find_path(
  TENSORRT_INCLUDE_DIR
  NAMES NvInferRuntime.h
  HINTS ${TENSORRT_ROOT} ENV TENSORRT_ROOT
  PATH_SUFFIXES include)
find_library(
  TENSORRT_LIBRARY
  NAMES nvinfer nvinfer_11 nvinfer_10
  HINTS ${TENSORRT_ROOT} ENV TENSORRT_ROOT
  PATH_SUFFIXES lib lib64)
find_path(
  TENSORRT_CUDART_INCLUDE_DIR
  NAMES cuda_runtime_api.h
  HINTS ${CUDAToolkit_ROOT} ENV CUDA_PATH /usr/local/cuda
  PATH_SUFFIXES include)
find_library(
  TENSORRT_CUDART_LIBRARY
  NAMES cudart
  HINTS ${CUDAToolkit_ROOT} ENV CUDA_PATH /usr/local/cuda
  PATH_SUFFIXES lib lib64 lib/x64)
mark_as_advanced(TENSORRT_INCLUDE_DIR TENSORRT_LIBRARY TENSORRT_CUDART_INCLUDE_DIR TENSORRT_CUDART_LIBRARY)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(
  TensorRT REQUIRED_VARS TENSORRT_LIBRARY TENSORRT_INCLUDE_DIR TENSORRT_CUDART_LIBRARY TENSORRT_CUDART_INCLUDE_DIR
  REASON_FAILURE_MESSAGE "give -DTENSORRT_ROOT=FOLDER and -DCUDAToolkit_ROOT=FOLDER")

if(TensorRT_FOUND AND NOT TARGET TensorRT::TensorRT)
  add_library(TensorRT::TensorRT UNKNOWN IMPORTED)
  set_target_properties(
    TensorRT::TensorRT
    PROPERTIES IMPORTED_LOCATION "${TENSORRT_LIBRARY}"
               INTERFACE_INCLUDE_DIRECTORIES "${TENSORRT_INCLUDE_DIR};${TENSORRT_CUDART_INCLUDE_DIR}"
               INTERFACE_LINK_LIBRARIES "${TENSORRT_CUDART_LIBRARY}")
endif()
