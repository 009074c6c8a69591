// Products that are rounded before anything is added to them, as in Python.
#pragma once

namespace afformer::core {

// Compilers may fuse `a * b + c` into one rounding where the processor can. In the tables that decide where a pixel
// lies, one last bit is another cell. Too slow for inner loops: the library is compiled with -ffp-contract=off.
template <typename Float>
inline Float product(Float a, Float b) noexcept {
    const volatile Float rounded = a * b;
    return rounded;
}

}  // namespace afformer::core
