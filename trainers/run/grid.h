// Sample grids: many small pictures in one PNG.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "core/io/image.h"

namespace tenon::run {

// rows x columns pictures of one size, 2 pixels apart, on white; fewer pictures than places leave
// the rest white. `pixels`: [n][height][width][channels] u8, channels 1 or 3. columns 0: chosen so
// that the grid is about square.
io::Image make_grid(const std::vector<std::uint8_t>& pixels, int n, int height, int width,
                    int channels, int columns = 0);

// `text` goes into the file: run, step, seeds, solver, nfe. Replaces the file as a whole.
void write_grid(const std::filesystem::path& file, const io::Image& grid,
                const std::map<std::string, std::string>& text);

}  // namespace tenon::run
