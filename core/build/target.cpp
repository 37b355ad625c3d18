#include "build/target.hpp"

#include <algorithm>
#include <cctype>
#include <vector>

#include "base/log.hpp"
#include "build/identity.hpp"

namespace sg {

Target::Target(std::string path, bool directory) : target_(std::move(path)), is_directory_(directory) { restart(); }

void Target::restart() {
    file_.reset();
    directory_.reset();
    if (is_directory_)
        directory_ = std::make_unique<OutputDirectory>(target_);
    else
        file_ = std::make_unique<OutputFile>(target_);
}

ImageWriter open_writer(const FormatEntry& format, const ConvertOptions& options, const Target& target, const WriterFacts& facts,
                        const sg_call* call) {
    std::vector<sg_pair> pairs;
    for (const auto& [k, v] : options.format_options) pairs.push_back({k.c_str(), v.c_str()});
    pairs.push_back({nullptr, nullptr});
    const std::string path = target.path();
    sg_create what{};
    what.fd = target.fd();
    what.path = path.c_str();
    what.arch = facts.arch.c_str();
    what.compress = options.compress.c_str();
    what.time = facts.time.value_or(INT64_MIN);
    what.options = pairs.data();
    std::string name = facts.identity + "\n" + format.name + "\n" + options.compress + "\n" + facts.arch;
    for (const auto& [k, v] : options.format_options) name += "\n" + k + "=" + v;
    const auto uuid = uuid_of(name);
    std::copy(uuid.begin(), uuid.end(), what.uuid);
    return ImageWriter::create(*format.table, what, call);
}

void add_parts(const Metadata& metadata, const FormatEntry& format, ImageWriter& writer) {
    if (!format.parts) return;
    for (const auto& part : metadata.parts()) writer.part(part.type, part.name, part.bytes);
}

void say_creating(const FormatEntry& format) {
    log::info("Creating " + shown_name(format) + (format.directory ? " directory..." : " file..."));
}

std::string shown_name(const FormatEntry& format) {
    std::string name = format.name;
    if (!format.directory)
        std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    return name;
}

}  // namespace sg
