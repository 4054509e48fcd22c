// CRC-32C (Castagnoli), the checksum of checkpoint manifests and event files.
#pragma once

#include "core/io/bytes.h"

namespace tenon::io {

// Continues `crc` (0 at the start) over `bytes`: crc32c(crc32c(0, a), b) == crc32c(0, a + b).
// Reflected polynomial 0x82F63B78, initial and final exclusive-or all ones (RFC 3720, B.4).
std::uint32_t crc32c(std::uint32_t crc, ByteView bytes);

}  // namespace tenon::io
