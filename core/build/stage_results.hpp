// Results of stages that are kept in the cache, found by what they were made of (stage_inputs.hpp).
//
// What a script reads of the network is no input that anybody knows: so each use is told, and results are used for some
// days only.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "build/stage_inputs.hpp"
#include "store/image_cache.hpp"

namespace sg {

struct StageResult {
    std::string path;
    int64_t age = 0;  // seconds
};

class StageResults {
public:
    // `root` "" = nothing is kept; `origin` says whose results these are (a definition's file, a stage of it), for
    // why_not; `days` is build.reuse_days.
    StageResults(std::string root, std::string origin, int64_t days)
        : root_(root), cache_(std::move(root)), origin_(std::move(origin)), days_(days) {}

    bool enabled() const { return cache_.enabled(); }
    // Nothing when there is none, or only an older one. `name` is its file name: a kind of results.
    std::optional<StageResult> find(const std::string& name, const StageInputs& inputs) const;
    // Where a new one goes: write it through OutputFile, then call `stored`. Throw system errors.
    std::string place(const std::string& name, const StageInputs& inputs) const;
    void stored(const std::string& path, const StageInputs& inputs) const;
    // Why `find` has nothing, for people: the last result of the same origin and name is compared.
    std::string why_not(const std::string& name, const StageInputs& inputs) const;

private:
    std::string root_;
    ImageCache cache_;
    std::string origin_;
    int64_t days_;
};

// "3 days", "5 minutes"
std::string shown_age(int64_t seconds);

}  // namespace sg
