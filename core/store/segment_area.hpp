// The directory of a cache root that holds layers as they were converted (build/segments.hpp).
#pragma once

namespace sg {

inline constexpr const char* segment_area = "segment";

}  // namespace sg
