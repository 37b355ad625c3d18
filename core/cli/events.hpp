// Progress for programs (--json): one JSON object a line on standard output.
//
//   {"event":"begin","task":1,"label":"Copying blob sha256:...","total":123}     total is left out when unknown
//   {"event":"progress","task":1,"done":45}                                      at most five times a second
//   {"event":"end","task":1,"done":123,"ok":true}
//   {"event":"done","path":"x.sif"}                                              the last one
#pragma once
#include <string>

#include "base/call.hpp"
#include "base/unique_fd.hpp"

namespace sg {

// While one lives, standard output is its own: what anything else prints there, as scripts of a build do, goes to
// standard error.
class EventProgress final : public Progress {
public:
    EventProgress();
    EventProgress(const EventProgress&) = delete;
    EventProgress& operator=(const EventProgress&) = delete;
    ~EventProgress() override;
    Bar* begin(const char* label, uint64_t total) override;
    void done(const std::string& path);

private:
    UniqueFd out_;
    std::atomic<uint64_t> tasks_{0};
};

}  // namespace sg
