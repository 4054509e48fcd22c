# What Tenon needs, found with find_package. The optional libraries have fallbacks of our own; their
# presence is a definition TENON_HAVE_<NAME>. Nothing here reaches a user of the installed library,
# except fmt, OpenMP and threads.

find_package(fmt REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(CLI11 REQUIRED)
find_package(Eigen3 REQUIRED)
find_package(OpenMP REQUIRED COMPONENTS CXX)
find_package(Threads REQUIRED)
find_package(PNG REQUIRED)
find_package(JPEG REQUIRED)
find_package(ZLIB REQUIRED)
find_package(PkgConfig REQUIRED)
# libzip's own CMake package also demands its command-line programs; pkg-config does not.
pkg_check_modules(LIBZIP REQUIRED IMPORTED_TARGET libzip)

# Libraries and definitions for our sources.
add_library(tenon_thirdparty INTERFACE)
target_link_libraries(tenon_thirdparty INTERFACE fmt::fmt OpenMP::OpenMP_CXX Threads::Threads
  nlohmann_json::nlohmann_json CLI11::CLI11 Eigen3::Eigen PNG::PNG JPEG::JPEG ZLIB::ZLIB
  PkgConfig::LIBZIP ${CMAKE_DL_LIBS})

if(TENON_ONEDNN)
  # Not find_package(dnnl): the distributions' package file also demands OpenCL's headers.
  find_library(ONEDNN_LIBRARY dnnl)
  find_path(ONEDNN_INCLUDE_DIR dnnl.hpp)
  if(ONEDNN_LIBRARY AND ONEDNN_INCLUDE_DIR)
    target_include_directories(tenon_thirdparty SYSTEM INTERFACE ${ONEDNN_INCLUDE_DIR})
    target_link_libraries(tenon_thirdparty INTERFACE ${ONEDNN_LIBRARY})
    target_compile_definitions(tenon_thirdparty INTERFACE TENON_HAVE_ONEDNN=1)
  endif()
endif()
if(TENON_OPENBLAS)
  find_package(OpenBLAS QUIET)
  if(OpenBLAS_FOUND)
    target_include_directories(tenon_thirdparty SYSTEM INTERFACE ${OpenBLAS_INCLUDE_DIRS})
    target_link_libraries(tenon_thirdparty INTERFACE ${OpenBLAS_LIBRARIES})
    target_compile_definitions(tenon_thirdparty INTERFACE TENON_HAVE_OPENBLAS=1)
  endif()
endif()
if(TENON_BOOST_CONTEXT)
  find_package(Boost QUIET COMPONENTS context)
  if(TARGET Boost::context)
    target_link_libraries(tenon_thirdparty INTERFACE Boost::context)
    target_compile_definitions(tenon_thirdparty INTERFACE TENON_HAVE_BOOST_CONTEXT=1)
  endif()
endif()

if(TENON_CUDA)
  find_package(CUDAToolkit REQUIRED)  # looks in more places than enable_language does
  set(CMAKE_CUDA_COMPILER ${CUDAToolkit_NVCC_EXECUTABLE})
  set(CMAKE_CUDA_ARCHITECTURES 80-real 90a-real)
  enable_language(CUDA)
  # CMake 3.25 does not know that nvcc has C++20.
  set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
  set(CMAKE_CUDA_STANDARD 20)
  set(CMAKE_CUDA_EXTENSIONS OFF)
endif()

# Warnings and sanitizers for everything of ours.
add_library(tenon_options INTERFACE)
target_include_directories(tenon_options INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_options(tenon_options INTERFACE -Wall -Wextra $<$<BOOL:${TENON_WERROR}>:-Werror>)
# With clang and AddressSanitizer the fuzz targets are libFuzzer's, which wants coverage counters.
set(TENON_LIBFUZZER OFF)
if(TENON_SANITIZE)
  # With sanitizers g++ 12 takes parts of <regex> and of variants for uninitialised memory.
  target_compile_options(tenon_options INTERFACE -fsanitize=${TENON_SANITIZE} -fno-omit-frame-pointer
    -fno-sanitize-recover=all $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
  target_link_options(tenon_options INTERFACE -fsanitize=${TENON_SANITIZE})
  if(TENON_SANITIZE MATCHES address AND CMAKE_CXX_COMPILER_ID MATCHES Clang)
    set(TENON_LIBFUZZER ON)
    target_compile_options(tenon_options INTERFACE -fsanitize=fuzzer-no-link)
  endif()
endif()
