#include "core/base/version.h"

#include <fmt/format.h>
#include <jpeglib.h>
#include <png.h>
#include <zip.h>
#include <zlib.h>

#include <CLI/Version.hpp>
#include <Eigen/Core>
#include <map>
#include <sstream>
#ifdef TENON_HAVE_ONEDNN
#include <dnnl_version.h>
#endif
#ifdef TENON_HAVE_OPENBLAS
#include <openblas_config.h>
#endif
#ifdef TENON_HAVE_BOOST_CONTEXT
#include <boost/version.hpp>
#endif
#include <nlohmann/json.hpp>

#define TENON_TEXT_(x) #x
#define TENON_TEXT(x) TENON_TEXT_(x)

namespace tenon {
namespace {

// Versions of the headers this file was compiled with; a library without an entry is absent.
std::map<std::string, std::string> compiled_versions() {
  std::map<std::string, std::string> v;
  const std::string compiler = build_info().compiler;
  const std::string number = compiler.substr(compiler.rfind(' ') + 1);
  v[compiler.find("Clang") != std::string::npos ? "clang" : "g++"] = number;
  v["fmt"] =
      fmt::format("{}.{}.{}", FMT_VERSION / 10000, FMT_VERSION / 100 % 100, FMT_VERSION % 100);
  v["nlohmann_json"] = fmt::format("{}.{}.{}", NLOHMANN_JSON_VERSION_MAJOR,
                                   NLOHMANN_JSON_VERSION_MINOR, NLOHMANN_JSON_VERSION_PATCH);
  v["CLI11"] = CLI11_VERSION;
  v["Eigen"] =
      fmt::format("{}.{}.{}", EIGEN_WORLD_VERSION, EIGEN_MAJOR_VERSION, EIGEN_MINOR_VERSION);
  v["libpng"] = PNG_LIBPNG_VER_STRING;
#ifdef LIBJPEG_TURBO_VERSION
  v["libjpeg-turbo"] = TENON_TEXT(LIBJPEG_TURBO_VERSION);
#else
  v["libjpeg-turbo"] = fmt::format("libjpeg {}", JPEG_LIB_VERSION);
#endif
  v["libzip"] = LIBZIP_VERSION;
  v["zlib"] = ZLIB_VERSION;
#ifdef TENON_HAVE_ONEDNN
  v["oneDNN"] = fmt::format("{}.{}.{}", DNNL_VERSION_MAJOR, DNNL_VERSION_MINOR, DNNL_VERSION_PATCH);
#endif
#ifdef TENON_HAVE_OPENBLAS
  std::string text = OPENBLAS_VERSION;  // " OpenBLAS 0.3.21 "
  v["OpenBLAS"] = text.substr(text.find_first_of("0123456789"));
  v["OpenBLAS"].erase(v["OpenBLAS"].find_last_not_of(" ") + 1);
#endif
#ifdef TENON_HAVE_BOOST_CONTEXT
  v["Boost"] = fmt::format("{}.{}.{}", BOOST_VERSION / 100000, BOOST_VERSION / 100 % 1000,
                           BOOST_VERSION % 100);
#endif
  return v;
}

std::string trim(const std::string& text) {
  const auto first = text.find_first_not_of(' ');
  if (first == std::string::npos) return "";
  return text.substr(first, text.find_last_not_of(' ') - first + 1);
}

}  // namespace

std::string version_line() {
  const BuildInfo& info = build_info();
  return fmt::format("tenon {} ({}{})", info.version, info.commit, info.dirty ? ", changed" : "");
}

std::string version_text() {
  const BuildInfo& info = build_info();
  std::string out = version_line() + "\n";
  out += fmt::format("compiler {}, {} ({})\n", info.compiler, info.build_type, info.flags);
  out += fmt::format("vector code {}; sanitizers {}; nvcc {}\n\n", info.targets,
                     *info.sanitize ? info.sanitize : "none", info.cuda);
  out += fmt::format("{:<14}  {:<14}  {:<10}  {:<13}  {}\n", "library", "this build", "Debian 12",
                     "Ubuntu 24.04", "use");
  const auto compiled = compiled_versions();
  std::istringstream lines(info.tested);
  for (std::string line; std::getline(lines, line);) {
    if (line.empty() || line[0] == '#') continue;
    std::istringstream fields(line);
    std::string name, debian, ubuntu, use;
    std::getline(fields, name, '|');
    std::getline(fields, debian, '|');
    std::getline(fields, ubuntu, '|');
    std::getline(fields, use);
    const auto found = compiled.find(trim(name));
    const std::string here = found != compiled.end()   ? found->second
                             : trim(use) == "optional" ? "without"
                                                       : "-";
    out += fmt::format("{:<14}  {:<14}  {:<10}  {:<13}  {}\n", trim(name), here, trim(debian),
                       trim(ubuntu), trim(use));
  }
  return out;
}

}  // namespace tenon
