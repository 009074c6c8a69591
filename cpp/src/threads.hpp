#pragma once

namespace afformer::core {

// Refuses thread counts before a backend starts them: so many would only stand in each other's way.
void check_threads(int threads);

}  // namespace afformer::core
