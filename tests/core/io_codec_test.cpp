#include "core/io/gzip.h"
#include "core/io/image.h"
#include "core/io/jpeg.h"
#include "core/io/png.h"
#include "core/io/zip.h"

#include <thread>

#include "tests/support/catch.h"
#include "tests/support/temp_dir.h"

namespace tenon::io {
namespace {

Image picture(int width, int height, int channels) {
  Image image{width, height, channels,
              ByteBuffer(static_cast<std::size_t>(width * height * channels))};
  for (std::size_t i = 0; i < image.pixels.size(); ++i)
    image.pixels[i] = static_cast<std::uint8_t>(i * 37 + i / 7);
  return image;
}

// Smooth, so that JPEG keeps it nearly.
Image ramp(int width, int height, int channels) {
  Image image = picture(width, height, channels);
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x)
      for (int c = 0; c < channels; ++c)
        image.pixels[static_cast<std::size_t>((y * width + x) * channels + c)] =
            static_cast<std::uint8_t>(4 * x + 2 * y + 20 * c);
  return image;
}

ByteView cut(const ByteBuffer& bytes, std::size_t n) {
  return ByteView(bytes).subspan(0, n);
}

}  // namespace

TEST_CASE("io: png round trip with text, grey and colour") {
  for (const int channels : {1, 3})
    for (const int level : {0, 6}) {
      const Image image = picture(13, 7, channels);
      PngOptions options;
      options.zlib_level = level;
      options.text = {{"run", "0001"}, {"seeds", "0-63"}};
      const ByteBuffer bytes = encode_png(image, options);
      CHECK(as_text(bytes).find("seeds") != std::string_view::npos);
      const Image back = decode_image(bytes, "p");
      CHECK(back.width == 13);
      CHECK(back.height == 7);
      CHECK(back.channels == channels);
      CHECK(back.pixels == image.pixels);
    }
}

TEST_CASE("io: cut and damaged png are refused, at every byte") {
  const ByteBuffer bytes = encode_png(picture(16, 16, 3));
  for (std::size_t n = 0; n < bytes.size(); ++n)
    REQUIRE_THROWS_AS(decode_image(cut(bytes, n), "p"), Error);
  REQUIRE_ERROR(decode_image(cut(bytes, 100), "p.png"), ErrorKind::Data, "p.png: damaged PNG");
  ByteBuffer flipped = bytes;
  flipped[bytes.size() / 2] ^= 4;  // inside the pixels
  REQUIRE_ERROR(decode_image(flipped, "p.png"), ErrorKind::Data, "damaged PNG");
  REQUIRE_ERROR(decode_image({}, "p.png"), ErrorKind::Data, "empty");
  REQUIRE_ERROR(decode_image(as_bytes("GIF89a.."), "p"), ErrorKind::Data, "neither a PNG");
}

TEST_CASE("io: picture sizes are limited before memory is taken") {
  const ByteBuffer bytes = encode_png(picture(64, 2, 1));
  ImageLimits limits;
  limits.max_side = 63;
  REQUIRE_ERROR(decode_png(bytes, "p", limits), ErrorKind::Data, "p");
  limits = {};
  limits.max_pixels = 127;
  REQUIRE_ERROR(decode_png(bytes, "p", limits), ErrorKind::Data, "64x2");
  const ByteBuffer jpeg = encode_jpeg(ramp(64, 8, 1));
  REQUIRE_ERROR(decode_jpeg(jpeg, "p", limits), ErrorKind::Data, "64x8");
}

TEST_CASE("io: jpeg decodes, and every warning is an error") {
  for (const int channels : {1, 3}) {
    const Image image = ramp(24, 16, channels);
    const ByteBuffer bytes = encode_jpeg(image, 100);
    const Image back = decode_image(bytes, "p");
    REQUIRE(back.pixels.size() == image.pixels.size());
    CHECK(back.channels == channels);
    int largest = 0;
    for (std::size_t i = 0; i < back.pixels.size(); ++i)
      largest = std::max(largest, std::abs(back.pixels[i] - image.pixels[i]));
    CHECK(largest <= 4);
    for (std::size_t n = 0; n + 2 < bytes.size(); ++n)
      REQUIRE_THROWS_AS(decode_image(cut(bytes, n), "p"), Error);
    REQUIRE_ERROR(decode_image(cut(bytes, bytes.size() - 20), "p.jpg"), ErrorKind::Data,
                  "p.jpg: damaged JPEG");
  }
}

TEST_CASE("io: picture names") {
  CHECK(is_image_name("a/b.PNG"));
  CHECK(is_image_name("x.jpeg"));
  CHECK_FALSE(is_image_name("dataset.json"));
  CHECK_FALSE(is_image_name("png"));
}

TEST_CASE("io: gzip unpacks, in pieces too, and refuses damage") {
  ByteBuffer data(300000);
  for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<std::uint8_t>(i * i >> 7);
  const ByteBuffer packed = gzip(data);
  CHECK(gunzip(packed, "g", data.size()) == data);
  REQUIRE_ERROR(gunzip(packed, "g", data.size() - 1), ErrorKind::Data, "more than");

  ByteBuffer twice = packed;
  twice.insert(twice.end(), packed.begin(), packed.end());
  CHECK(gunzip(twice, "g", 1 << 20).size() == 2 * data.size());

  GzipReader in(packed, "g");
  ByteBuffer piece(1000);
  CHECK(in.read(piece) == 1000);
  CHECK(std::equal(piece.begin(), piece.end(), data.begin()));

  for (const std::size_t n :
       {packed.size() - 1, packed.size() / 2, std::size_t{11}, std::size_t{2}})
    REQUIRE_ERROR(gunzip(cut(packed, n), "g.gz", 1 << 20), ErrorKind::Data, "g.gz: gzip data is");
  ByteBuffer flipped = packed;
  flipped[packed.size() - 6] ^= 1;  // the checksum
  REQUIRE_ERROR(gunzip(flipped, "g", 1 << 20), ErrorKind::Data, "damaged");
  REQUIRE_ERROR(gunzip(as_bytes("no"), "g", 10), ErrorKind::Data, "not gzip");
}

TEST_CASE("io: zip archives") {
  const test::TempDir temp;
  std::vector<std::pair<std::string, ByteBuffer>> files;
  for (int i = 0; i < 20; ++i)
    files.emplace_back(fmt::format("d/{:02}.bin", i),
                       ByteBuffer(1000, static_cast<std::uint8_t>(i)));
  write_zip(temp / "a.zip", files);
  const ZipArchive zip(temp / "a.zip");
  REQUIRE(zip.entries().size() == 20);
  CHECK(zip.read(zip.entries()[3]) == files[3].second);
  REQUIRE_ERROR(zip.read(zip.entries()[3], 999), ErrorKind::Data, "limit is 999 B");

  std::vector<std::thread> threads;
  std::vector<int> wrong(4, 0);
  for (std::size_t t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (std::size_t i = 0; i < 200; ++i)
        wrong[t] += zip.read(zip.entries()[i % 20]) != files[i % 20].second;
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == std::vector<int>(4, 0));

  std::string bytes = test::read_file(temp / "a.zip");
  REQUIRE_ERROR(ZipArchive(temp.write("cut.zip", bytes.substr(0, bytes.size() - 30))),
                ErrorKind::Data, "zip archive");
  REQUIRE_ERROR(ZipArchive(temp / "b.zip"), ErrorKind::Data, "a.zip");
  bytes[bytes.find("d/07.bin") + 200] ^= 1;  // inside the stored bytes: only the checksum knows
  const ZipArchive damaged(as_bytes(bytes), "mem.zip");
  REQUIRE_ERROR(damaged.read(damaged.entries()[7]), ErrorKind::Data, "d/07.bin");
  CHECK(damaged.read(damaged.entries()[8]) == files[8].second);
}

}  // namespace tenon::io
