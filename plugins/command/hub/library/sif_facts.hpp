// What a SIF file says of itself, for the listing.
#pragma once
#include <string>
#include <vector>

namespace hub {

struct SifFacts {
    std::string arch;  // "amd64"; "" = unknown
    bool encrypted = false, is_signed = false;
    std::vector<std::string> fingerprints;  // upper case, in order, once each; what the signatures claim, unverified
    std::string definition;                 // at most 64 KiB
};

// Of the open file, read by the host's format for it. Throws Code::corrupt for what is no SIF that can be read.
SifFacts sif_facts(int fd);

}  // namespace hub
