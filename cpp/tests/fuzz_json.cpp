// What libFuzzer drives: the readers of the spec and of the JSON beside an engine, on any bytes. scripts/fuzz builds it.
#include <afformer/errors.hpp>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>

#include "engine_info.hpp"
#include "spec_json.hpp"

namespace {

// They may end in an Error of one line. Any other exception, and every finding of a sanitizer, ends the program.
template <typename Read>
void read_or_refuse(const Read& read) {
    try {
        read();
    } catch (const afformer::Error& error) {
        if (std::strpbrk(error.what(), "\r\n") != nullptr) {
            std::abort();
        }
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string text(reinterpret_cast<const char*>(data), size);
    read_or_refuse([&text] { static_cast<void>(afformer::core::read_spec(text, "spec.json")); });
    read_or_refuse([&text] {
        const auto info = afformer::core::EngineInfo::from_json(text, "a.engine.json");
        info.require_fit("a.engine", "a.engine", "10.3.0", {"Orin", 8, 7});
    });
    return 0;
}
