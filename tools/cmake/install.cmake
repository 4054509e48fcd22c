# cmake --install: the library, its headers, the programs, and a package for find_package(tenon).
include(CMakePackageConfigHelpers)
set(TENON_PACKAGE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/tenon)

get_property(programs GLOBAL PROPERTY TENON_PROGRAMS)
set_target_properties(tenon ${programs} PROPERTIES
  INSTALL_RPATH "$ORIGIN/../${CMAKE_INSTALL_LIBDIR}")
install(TARGETS tenon EXPORT tenon)
if(programs)
  install(TARGETS ${programs})
endif()
install(DIRECTORY ${TENON_FOLDERS} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/tenon
        FILES_MATCHING PATTERN "*.h" PATTERN "*.inc")
install(EXPORT tenon NAMESPACE tenon:: FILE tenonTargets.cmake DESTINATION ${TENON_PACKAGE_DIR})

configure_package_config_file(tools/cmake/tenonConfig.cmake.in
  ${PROJECT_BINARY_DIR}/generated/tenonConfig.cmake INSTALL_DESTINATION ${TENON_PACKAGE_DIR})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/generated/tenonConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/generated/tenonConfig.cmake
              ${PROJECT_BINARY_DIR}/generated/tenonConfigVersion.cmake
        DESTINATION ${TENON_PACKAGE_DIR})
