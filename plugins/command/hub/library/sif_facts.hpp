// What a SIF file says of itself, read for the listing (SIF v1: header of 128 bytes, descriptors of 585).
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace hub {

struct SifFacts {
    std::string arch;  // "amd64"; "" = unknown
    bool encrypted = false, is_signed = false;
    std::vector<std::string> fingerprints;  // upper case, in order, once each; what the signatures claim, unverified
    std::string definition;                 // at most 64 KiB
};

// Throws Code::corrupt for what is no SIF, and for offsets outside of the file.
SifFacts sif_facts(int fd, uint64_t size);

}  // namespace hub
