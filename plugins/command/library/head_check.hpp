// Whether an image is signed, told by the first bytes of its file while they come.
#pragma once
#include <memory>
#include <singularity/host.hpp>
#include <string>

namespace library {

// Passes `from` on, which begins at the file's first byte and has `size` bytes; warns when it is an image without any
// signature. `shown` names it. What is no image of a format with signatures is passed on without a word.
std::unique_ptr<singularity::Stream> warn_if_unsigned(std::unique_ptr<singularity::Stream> from, uint64_t size,
                                                      std::string shown, const singularity::Host& host);

// Of an open file. nullopt: its format has no signatures.
struct ImageFacts {
    std::string arch;  // of its root file system; "" = unknown
    bool is_signed = false;
};
ImageFacts facts_of(const std::string& path);

}  // namespace library
