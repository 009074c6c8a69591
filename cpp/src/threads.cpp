#include "threads.hpp"

#include <afformer/errors.hpp>
#include <string>
#include <thread>

namespace afformer::core {

void check_threads(int threads) {
    if (threads < 0) {
        throw Error(ErrorCode::backend, "threads must be 0 (automatic) or more, got " + std::to_string(threads));
    }
    const unsigned cores = std::thread::hardware_concurrency();
    const int most = 4 * static_cast<int>(cores != 0 ? cores : 1);
    if (threads > most) {
        throw Error(ErrorCode::backend, std::to_string(threads) +
                                            " threads are too many for this machine; expected 0 (automatic) to " +
                                            std::to_string(most));
    }
}

}  // namespace afformer::core
