# The library of ONNX Runtime, without its headers, as OnnxRuntimeLibrary::OnnxRuntimeLibrary.
#
# Give ONNXRUNTIME_ROOT (a folder with the library in it or in its lib/), or ONNXRUNTIME_LIBRARY, if it lies elsewhere
# than the system's libraries.
find_library(
  ONNXRUNTIME_LIBRARY
  NAMES onnxruntime libonnxruntime.so.1
  HINTS ${ONNXRUNTIME_ROOT} ENV ONNXRUNTIME_ROOT
  PATH_SUFFIXES lib lib64)
mark_as_advanced(ONNXRUNTIME_LIBRARY)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(
  OnnxRuntimeLibrary REQUIRED_VARS ONNXRUNTIME_LIBRARY
  REASON_FAILURE_MESSAGE "give -DONNXRUNTIME_ROOT=FOLDER, or leave AFFORMER_LINK_ONNXRUNTIME off to load it at run time")

if(OnnxRuntimeLibrary_FOUND AND NOT TARGET OnnxRuntimeLibrary::OnnxRuntimeLibrary)
  add_library(OnnxRuntimeLibrary::OnnxRuntimeLibrary UNKNOWN IMPORTED)
  set_target_properties(OnnxRuntimeLibrary::OnnxRuntimeLibrary PROPERTIES IMPORTED_LOCATION "${ONNXRUNTIME_LIBRARY}")
endif()
