// TENON_HD marks functions that kernels call, too: nvcc then compiles them for both sides.
#pragma once

#if defined(__CUDACC__)
#define TENON_HD __host__ __device__
#else
#define TENON_HD
#endif
