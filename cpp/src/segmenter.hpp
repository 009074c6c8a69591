// The segmenter behind the C interface: one model, and a workspace for each thread that uses it at the same time.
#pragma once

#include <afformer/image.hpp>
#include <afformer/options.hpp>
#include <afformer/spec.hpp>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "model.hpp"
#include "workspace.hpp"

namespace afformer::core {

// Lends workspaces, each to one borrower at a time, and makes one more only while all others are lent: a program of
// one thread has one. Borrowers beyond `most` wait.
class Workspaces {
public:
    using Make = std::function<std::unique_ptr<Workspace>()>;

    // Makes the first workspace, so that what keeps the model from running is known at once.
    Workspaces(std::size_t most, Make make);

    // A workspace that goes back when the borrower lets go of it.
    class Loan {
    public:
        explicit Loan(Workspaces& owner) : owner_(owner), lent_(owner.take()) {}
        Loan(const Loan&) = delete;
        Loan& operator=(const Loan&) = delete;
        ~Loan() { owner_.give_back(std::move(lent_)); }

        Workspace* operator->() const noexcept { return lent_.get(); }

    private:
        Workspaces& owner_;
        std::unique_ptr<Workspace> lent_;
    };

private:
    std::unique_ptr<Workspace> take();
    void give_back(std::unique_ptr<Workspace> workspace) noexcept;

    const std::size_t most_;
    const Make make_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::size_t made_ = 1;
    std::vector<std::unique_ptr<Workspace>> free_;  // the last one given back, whose tables fit best, is lent first
};

// Segments pictures of any size. Any number of threads may use it at once.
class Segmenter {
public:
    Segmenter(std::unique_ptr<Model> model, Fit fit);

    // What the model says about itself.
    [[nodiscard]] const ModelSpec& spec() const noexcept { return model_->spec(); }
    // Backend, version and device, for people.
    [[nodiscard]] const std::string& description() const noexcept { return model_->description(); }

    // Writes the class maps of `count` pictures, as many at a time as the model's batch holds: for each,
    // `size.height * size.width` bytes to `ids[i]`. Throws Error(backend) if the run fails.
    void operator()(const ImageView* pictures, std::uint8_t* const* ids, std::size_t count);

private:
    std::unique_ptr<Model> model_;
    Workspaces workspaces_;
};

}  // namespace afformer::core
