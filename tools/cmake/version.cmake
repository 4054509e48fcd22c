# Target tenon_version: a generated source with the commit and the build's options, rewritten only
# when one of them changes. core/base/version.cpp turns it into text.
find_package(Git QUIET)
set(TENON_VERSION_FILE ${PROJECT_BINARY_DIR}/generated/build_info.cpp)
set(TENON_TARGETS_TEXT "base")
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  set(TENON_TARGETS_TEXT "base avx2 avx512")
endif()
string(TOUPPER ${CMAKE_BUILD_TYPE} type)
set(build_info -DSOURCE=${PROJECT_SOURCE_DIR} -DOUTPUT=${TENON_VERSION_FILE}
    -DGIT=${GIT_EXECUTABLE} -DVERSION=${PROJECT_VERSION}
    "-DCOMPILER=${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION}"
    "-DFLAGS=${CMAKE_CXX_FLAGS_${type}}" -DBUILD_TYPE=${CMAKE_BUILD_TYPE}
    "-DTARGETS=${TENON_TARGETS_TEXT}" "-DSANITIZE=${TENON_SANITIZE}" -DCUDA=${TENON_CUDA}
    -DTEMPLATE=${PROJECT_SOURCE_DIR}/tools/cmake/build_info.cpp.in
    -DTESTED=${PROJECT_SOURCE_DIR}/tools/cmake/tested_versions.txt
    -P ${PROJECT_SOURCE_DIR}/tools/cmake/write_build_info.cmake)
execute_process(COMMAND ${CMAKE_COMMAND} ${build_info} COMMAND_ERROR_IS_FATAL ANY)
add_custom_target(tenon_version_text COMMAND ${CMAKE_COMMAND} ${build_info}
                  BYPRODUCTS ${TENON_VERSION_FILE} COMMENT "Looking at the commit")
tenon_objects(tenon_version ${TENON_VERSION_FILE})
add_dependencies(tenon_version tenon_version_text)
list(APPEND TENON_BASELINE_OBJECTS tenon_version)
