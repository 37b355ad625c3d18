// Any bytes as labels.json and as the record that `inspect` reads: what is accepted is written as it was read.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "base/error.hpp"
#include "metadata/attributes.hpp"
#include "metadata/json_text.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    if (sg::valid_utf8(sg::valid_utf8(text)) != sg::valid_utf8(text)) std::abort();
    try {
        const std::string once = sg::labels_json(sg::parse_labels(text));
        if (sg::labels_json(sg::parse_labels(once)) != once) std::abort();
    } catch (const sg::Error&) {
    }
    try {
        const std::string once = sg::attributes_json(sg::parse_attributes(text));
        if (sg::attributes_json(sg::parse_attributes(once)) != once) std::abort();
    } catch (const sg::Error&) {
    }
    return 0;
}
