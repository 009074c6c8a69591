// Products that are rounded before anything is added to them, as in Python.
#pragma once

namespace afformer::detail {

// Compilers may fuse `a * b + c` into one rounding where the processor can. In the tables that decide where a pixel
// lies, a last bit more or less is another cell. Too slow for inner loops: for those, build with -ffp-contract=off to
// have Python's bits on such processors.
template <typename Float>
inline Float product(Float a, Float b) noexcept {
    const volatile Float rounded = a * b;
    return rounded;
}

}  // namespace afformer::detail
