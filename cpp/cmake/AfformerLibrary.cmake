# The library, compiled once for its two forms:
#
#   afformer::afformer   for C++: the shared library, or the static one if that alone is built
#   afformer::c          for C: the same
#   afformer::static     the static library
set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)
if(AFFORMER_LINK_ONNXRUNTIME)
  find_package(OnnxRuntimeLibrary REQUIRED)
endif()
if(AFFORMER_WITH_TENSORRT)
  find_package(TensorRT REQUIRED)
endif()

file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/src/*.cpp)
if(AFFORMER_WITH_TENSORRT)
  file(GLOB tensorrt_sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/src/tensorrt/*.cpp)
endif()
add_library(afformer_objects OBJECT ${sources} ${tensorrt_sources})
set_target_properties(
  afformer_objects
  PROPERTIES CXX_STANDARD 17
             CXX_STANDARD_REQUIRED ON
             POSITION_INDEPENDENT_CODE ON
             CXX_VISIBILITY_PRESET hidden
             VISIBILITY_INLINES_HIDDEN ON)
target_include_directories(afformer_objects PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/include)
# The headers of others make no warnings.
target_include_directories(afformer_objects SYSTEM PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/third_party
                                                           ${CMAKE_CURRENT_SOURCE_DIR}/third_party/onnxruntime)
target_compile_definitions(
  afformer_objects PRIVATE AFFORMER_BUILDING $<$<BOOL:${AFFORMER_LINK_ONNXRUNTIME}>:AFFORMER_LINK_ONNXRUNTIME>
                           $<$<BOOL:${AFFORMER_WITH_TENSORRT}>:AFFORMER_WITH_TENSORRT>)
if(AFFORMER_WITH_TENSORRT)
  target_include_directories(
    afformer_objects SYSTEM PRIVATE $<TARGET_PROPERTY:TensorRT::TensorRT,INTERFACE_INCLUDE_DIRECTORIES>)
endif()
afformer_own(afformer_objects)

# Makes one form of the library.
function(afformer_form target form)
  add_library(${target} ${form} $<TARGET_OBJECTS:afformer_objects>)
  set_target_properties(${target} PROPERTIES OUTPUT_NAME afformer LINKER_LANGUAGE CXX)
  target_include_directories(${target} INTERFACE $<BUILD_INTERFACE:${CMAKE_CURRENT_SOURCE_DIR}/include>
                                                 $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  target_link_libraries(${target} PRIVATE Threads::Threads ${CMAKE_DL_LIBS})
  if(AFFORMER_LINK_ONNXRUNTIME)
    target_link_libraries(${target} PRIVATE OnnxRuntimeLibrary::OnnxRuntimeLibrary)
  endif()
  if(AFFORMER_WITH_TENSORRT)
    target_link_libraries(${target} PRIVATE TensorRT::TensorRT)
  endif()
  afformer_own(${target})
endfunction()

set(installed_targets afformer)
if(AFFORMER_BUILD_STATIC)
  afformer_form(afformer_static STATIC)
  add_library(afformer::static ALIAS afformer_static)
  target_compile_definitions(afformer_static INTERFACE AFFORMER_STATIC)
  target_compile_features(afformer_static INTERFACE cxx_std_17)
  set_target_properties(afformer_static PROPERTIES EXPORT_NAME static)
  if(WIN32)
    set_target_properties(afformer_static PROPERTIES OUTPUT_NAME afformer_static)  # not the name of the import library
  endif()
  list(APPEND installed_targets afformer_static)
  set(library afformer_static)
endif()
if(AFFORMER_BUILD_SHARED)
  afformer_form(afformer_c SHARED)
  set_target_properties(
    afformer_c
    PROPERTIES EXPORT_NAME c
               VERSION ${PROJECT_VERSION}
               SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR}
               INSTALL_RPATH_USE_LINK_PATH ON)
  list(APPEND installed_targets afformer_c)
  set(library afformer_c)
endif()
add_library(afformer::c ALIAS ${library})

add_library(afformer INTERFACE)
add_library(afformer::afformer ALIAS afformer)
target_compile_features(afformer INTERFACE cxx_std_17)
target_link_libraries(afformer INTERFACE ${library})
