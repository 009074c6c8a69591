#include "segmenter.hpp"

#include <algorithm>
#include <utility>

namespace afformer::core {

Workspaces::Workspaces(std::size_t most, Make make) : most_(std::max<std::size_t>(most, 1)), make_(std::move(make)) {
    free_.reserve(most_);  // giving back must not need memory
    free_.push_back(make_());
}

std::unique_ptr<Workspace> Workspaces::take() {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this] { return !free_.empty() || made_ < most_; });
    if (!free_.empty()) {
        std::unique_ptr<Workspace> lent = std::move(free_.back());
        free_.pop_back();
        return lent;
    }
    ++made_;
    lock.unlock();
    try {
        return make_();
    } catch (...) {
        lock.lock();
        --made_;
        changed_.notify_one();
        throw;
    }
}

void Workspaces::give_back(std::unique_ptr<Workspace> workspace) noexcept {
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        free_.push_back(std::move(workspace));
    }
    changed_.notify_one();
}

Segmenter::Segmenter(std::unique_ptr<Model> model, Fit fit)
    : model_(std::move(model)),
      workspaces_(model_->most_slots(), [this, fit] { return std::make_unique<Workspace>(*model_, fit); }) {}

void Segmenter::operator()(const ImageView* pictures, std::uint8_t* const* ids, std::size_t count) {
    const auto batch = static_cast<std::size_t>(spec().batch);
    for (std::size_t start = 0; start < count; start += batch) {
        const Workspaces::Loan workspace(workspaces_);
        workspace->segment(pictures + start, ids + start, std::min(batch, count - start));
    }
}

}  // namespace afformer::core
