// Progress for programs (--json): one JSON object a line on standard output.
//
//   {"event":"begin","task":1,"label":"Copying blob sha256:...","total":123}     total is left out when unknown
//   {"event":"progress","task":1,"done":45}                                      at most five times a second
//   {"event":"end","task":1,"done":123,"ok":true}
//   {"event":"done","path":"x.sif"}                                              the last one
#pragma once
#include <string>

#include "base/call.hpp"

namespace sg {

class EventProgress final : public Progress {
public:
    Bar* begin(const char* label, uint64_t total) override;
    static void done(const std::string& path);

private:
    std::atomic<uint64_t> tasks_{0};
};

}  // namespace sg
