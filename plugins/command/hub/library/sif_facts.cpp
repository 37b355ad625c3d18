#include "hub/library/sif_facts.hpp"

#include <algorithm>

#include <singularity/host.hpp>
#include <singularity/image.hpp>

namespace hub {

using singularity::Code;
using singularity::Error;
using singularity::ForeignImage;

namespace {

constexpr uint64_t longest_definition = 64 << 10;

std::string definition_of(const ForeignImage& image, uint64_t id) {
    const auto stream = image.read(id, singularity::Host());
    std::string out;
    while (out.size() < longest_definition) {
        const auto slice = stream->next();
        if (slice.size() == 0) break;
        if (!slice.is_hole()) out.append(reinterpret_cast<const char*>(slice.data()), slice.size());
    }
    out.resize(std::min<size_t>(out.size(), longest_definition));
    return out.substr(0, out.find('\0'));
}

SifFacts facts_of(const ForeignImage& image) {
    SifFacts facts;
    for (const auto& part : image.parts()) {
        if (part.type == "deffile" && facts.definition.empty()) {
            facts.definition = definition_of(image, part.id);
        } else if (part.type == "partition") {
            const std::string_view filesystem = part.attribute("fs"), arch = part.attribute("arch");
            facts.encrypted = facts.encrypted || filesystem == "Encrypted squashfs" || filesystem == "Gocryptfs squashfs";
            if (part.attribute("part") == "*System" && arch != "unknown") facts.arch = arch;
        } else if (part.type == "signature") {
            facts.is_signed = true;
            const std::string print(part.attribute("entity"));
            if (!print.empty() && std::find(facts.fingerprints.begin(), facts.fingerprints.end(), print) == facts.fingerprints.end()) facts.fingerprints.push_back(print);
        }
    }
    return facts;
}

}  // namespace

SifFacts sif_facts(int fd) {
    try {
        const ForeignImage image("/proc/self/fd/" + std::to_string(fd), false);
        if (image.has_parts()) return facts_of(image);
    } catch (const Error& e) {
        if (e.code() == Code::io || e.code() == Code::cancelled) throw;
    }
    throw Error(Code::corrupt, "the file is no SIF image that can be read");
}

}  // namespace hub
