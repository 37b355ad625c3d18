// The compiled index: whatever the bytes, reading them ends in an answer or in Code::corrupt. The checksum
// is repaired first, so that the fuzzer gets behind it.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "../../unit/config/walk_index.hpp"
#include "base/error.hpp"
#include "config/encode.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    std::string bytes(reinterpret_cast<const char*>(data), size);
    sg::seal_index(bytes);
    try {
        walk_index(sg::Index::owning(std::move(bytes)));
    } catch (const sg::Error& e) {
        if (e.code() != sg::Code::corrupt) std::abort();
    }
    return 0;
}
