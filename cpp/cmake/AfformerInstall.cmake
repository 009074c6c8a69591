# `cmake --install`, and what find_package(afformer) reads afterwards.
include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/afformer)
install(TARGETS ${installed_targets} EXPORT afformer-targets)
install(DIRECTORY include/afformer DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(EXPORT afformer-targets NAMESPACE afformer:: DESTINATION ${package_dir})
# Of what is compiled into the library.
install(FILES third_party/nlohmann/LICENSE.MIT DESTINATION ${CMAKE_INSTALL_DOCDIR}/nlohmann)
install(FILES third_party/onnxruntime/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR}/onnxruntime)

configure_package_config_file(cmake/afformer-config.cmake.in ${CMAKE_CURRENT_BINARY_DIR}/afformer-config.cmake
                              INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/afformer-config-version.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/afformer-config.cmake
              ${CMAKE_CURRENT_BINARY_DIR}/afformer-config-version.cmake
              cmake/FindOnnxRuntimeLibrary.cmake cmake/FindTensorRT.cmake
        DESTINATION ${package_dir})
