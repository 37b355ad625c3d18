#include "reference.hpp"

#include <singularity/digest.hpp>
#include <singularity/json.hpp>

#include "family/naming.hpp"
#include "family/reference.hpp"

namespace docker_daemon {

using singularity::Code;
using singularity::Digest;
using singularity::Error;

std::string file_name_of(const std::string& name) {
    const std::string last = name.substr(name.rfind('/', name.find('@')) + 1);
    const size_t at = last.find('@');
    if (at == std::string::npos) return sources::default_file_name("image", last);
    std::string digest = last.substr(at + 1);
    if (const size_t colon = digest.find(':'); colon != std::string::npos) digest[colon] = '.';
    return sources::default_file_name("image", last.substr(0, last.find_first_of(":@")) + ":" + digest);
}

EngineReference parse_engine_reference(const std::string& text) {
    if (text.starts_with("sha256:")) {
        if (!Digest::try_parse(text))
            throw Error(Code::invalid, "\"" + singularity::json::printable(text) + "\" is no image id: sha256: and 64 hexadecimal digits",
                        "\"docker images --no-trunc\" shows them.");
        return {text, true, "image_latest.sif"};
    }
    const sources::ImageReference parsed = sources::parse_image_reference(text);
    if (parsed.tag.empty() && parsed.digest.empty())
        throw Error(Code::invalid, "docker-daemon:" + text + " has neither a tag nor a digest",
                    "The tag is needed also when it is latest: docker-daemon:" + text + ":latest");
    // With both the digest decides, and engines want only one.
    std::string name = text;
    if (!parsed.tag.empty() && !parsed.digest.empty()) {
        const size_t at = text.find('@');
        name = text.substr(0, text.rfind(':', at)) + text.substr(at);
    }
    return {name, false, file_name_of(name)};
}

}  // namespace docker_daemon
