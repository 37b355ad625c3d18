#include "family/hash.hpp"

namespace sources {

void verify(const Digest& digest, std::string_view bytes, std::string_view where) {
    const Digest found = hash(digest.algorithm(), bytes);
    if (found == digest) return;
    throw Error(Code::corrupt, std::string(where) + ": the bytes of " + digest.text() + " do not match their digest",
                "The file was changed or damaged after it was written: fetch or save the image again.",
                "their digest is " + found.text());
}

}  // namespace sources
