#include "onnxruntime_library.hpp"

#include <afformer/errors.hpp>
#include <cstdlib>

#include "shared_library.hpp"
#include "text.hpp"

namespace afformer::core {
namespace {

OnnxRuntime checked(const OrtApiBase* base, const std::string& where) {
    const std::string version = base->GetVersionString();
    const OrtApi* api = base->GetApi(ort_api_version);
    if (api == nullptr) {
        throw Error(ErrorCode::backend, where + ": is ONNX Runtime " + version + ", but 1." +
                                            std::to_string(ort_api_version) +
                                            " or newer is needed; install a newer one");
    }
    return {api, version};
}

}  // namespace

#if defined(AFFORMER_LINK_ONNXRUNTIME)

OnnxRuntime find_onnxruntime(const std::filesystem::path& library) {
    if (!library.empty()) {
        throw Error(ErrorCode::backend, text_of(library) +
                                            ": cannot be loaded, because this library is linked with ONNX Runtime; "
                                            "leave the option library empty, or build without "
                                            "AFFORMER_LINK_ONNXRUNTIME");
    }
    return checked(OrtGetApiBase(), "the linked ONNX Runtime");
}

#else

namespace {

constexpr const char* library_variable = "AFFORMER_ONNXRUNTIME";
#if defined(_WIN32)
constexpr const char* default_library = "onnxruntime.dll";
#elif defined(__APPLE__)
constexpr const char* default_library = "libonnxruntime.dylib";
#else
constexpr const char* default_library = "libonnxruntime.so.1";
#endif

std::filesystem::path chosen(const std::filesystem::path& library) {
    if (!library.empty()) {
        return library;
    }
    const char* variable = std::getenv(library_variable);
    return variable != nullptr && *variable != '\0' ? variable : default_library;
}

}  // namespace

OnnxRuntime find_onnxruntime(const std::filesystem::path& library) {
    const std::filesystem::path path = chosen(library);
    const std::string remedy = std::string(" with the option library or the variable ") + library_variable;
    std::string problem;
    // Never unloaded: ONNX Runtime's threads and its own clean-up at exit outlive every model.
    void* const loaded = load_library(path, problem);
    if (loaded == nullptr) {
        throw Error(ErrorCode::backend, text_of(path) + ": ONNX Runtime cannot be loaded (" + problem +
                                            "); install it, or name its library" + remedy);
    }
    void* const symbol = library_symbol(loaded, "OrtGetApiBase");
    if (symbol == nullptr) {
        throw Error(ErrorCode::backend, text_of(path) + ": is not ONNX Runtime, since it has no OrtGetApiBase; name " +
                                            default_library + remedy);
    }
    const auto get_base = reinterpret_cast<const OrtApiBase*(ORT_API_CALL*)()>(symbol);
    return checked(get_base(), text_of(path));
}

#endif

}  // namespace afformer::core
