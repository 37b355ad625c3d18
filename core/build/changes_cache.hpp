// What %post changed, kept for the next build of the same: the tar stream of a BuildSession with the texts beside it.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>

#include "build/session.hpp"
#include "build/stage_results.hpp"
#include "store/output.hpp"

namespace sg {

struct KeptChanges {
    ScriptResults results;
    std::unique_ptr<singularity::Stream> tar;
    int64_t age = 0;  // seconds
};

class ChangesCache {
public:
    static constexpr const char* name = "changes";  // of its results

    // `kept` must outlive it.
    ChangesCache(const StageResults& kept, StageInputs inputs) : kept_(kept), inputs_(std::move(inputs)) {}

    std::optional<KeptChanges> find() const;
    // A stream that gives what `tar` gives and keeps it; `keep` makes it a result, once all was read. Without a place to
    // write to it only passes on.
    std::unique_ptr<singularity::Stream> keeping(std::unique_ptr<singularity::Stream> tar, const ScriptResults& results);
    void keep();

private:
    const StageResults& kept_;
    StageInputs inputs_;
    std::unique_ptr<OutputFile> file_;
};

}  // namespace sg
