// What TensorRT complains of.
#pragma once

#include <NvInferRuntime.h>

#include <string>

namespace afformer::core {

// TensorRT keeps the first logger it is given for as long as the process lives, so there is one, which is never
// destroyed. It keeps each thread's complaints apart.
class Journal final : public nvinfer1::ILogger {
public:
    static Journal& instance();

    // Keeps the first complaint, the cause of those that follow it. Does not allocate: it must not throw.
    void log(Severity severity, const char* message) noexcept override;

    void clear() noexcept;

    // This thread's first complaint since its last `clear`, in one line.
    [[nodiscard]] std::string reason() const;

private:
    Journal() = default;
};

}  // namespace afformer::core
