#include "journal.hpp"

#include <string_view>

#include "../text.hpp"

namespace afformer::core {
namespace {

thread_local char kept[1024] = {};

}  // namespace

Journal& Journal::instance() {
    static auto* const journal = new Journal;
    return *journal;
}

void Journal::log(Severity severity, const char* message) noexcept {
    if (severity != Severity::kERROR && severity != Severity::kINTERNAL_ERROR) {
        return;
    }
    if (kept[0] == '\0') {
        const std::string_view text(message);
        kept[text.copy(kept, cut_utf8(text, sizeof kept - 1))] = '\0';
    }
}

void Journal::clear() noexcept { kept[0] = '\0'; }

std::string Journal::reason() const {
    const std::string line = one_line(kept);
    return line.empty() ? "TensorRT gives no reason" : line;
}

}  // namespace afformer::core
