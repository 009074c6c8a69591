// Counts how often this thread asks for memory with `new`, while `counting`.
#pragma once

#include <cstddef>

extern thread_local bool counting;
extern thread_local std::size_t allocations;
