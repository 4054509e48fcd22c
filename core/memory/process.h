// The memory of this process, as the system counts it.
#pragma once

#include <cstddef>

namespace tenon {

// Highest resident size so far (VmHWM), 0 where unknown.
size_t peak_resident_bytes();
// Memory of the machine.
size_t physical_memory_bytes();

}  // namespace tenon
