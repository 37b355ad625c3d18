#include "cli/overview.hpp"

#include <algorithm>

#include "cli/table.hpp"

namespace sg {

namespace {

void entry(std::string& out, std::string_view name, std::string_view text, std::string_view origin = {}) {
    std::string line = "  " + std::string(name);
    line.append(line.size() < 20 ? 20 - line.size() : 2, ' ');
    out += line + std::string(text) + (origin.empty() ? "" : "  (" + std::string(origin) + ")") + "\n";
}

void capabilities(std::string& out, const Index& index, CapabilityKind kind, const char* title) {
    auto all = index.capabilities(kind);
    std::erase_if(all, [](const CapabilityView& c) { return c.hidden; });
    if (all.empty()) return;
    out += std::string("\n") + title + ":\n";
    for (const auto& c : all) {
        const PluginView p = index.plugin(c.plugin);
        entry(out, c.name, c.summary.empty() ? p.summary : c.summary, std::string("plugin ") + std::string(p.name));
    }
}

}  // namespace

std::string overview(const Context& context) {
    std::string out = "Usage: singularity [global options] COMMAND [options] ...\n\nContainers for science: from images to single files that run anywhere.\n";
    std::vector<std::string_view> groups;
    for (const auto& row : verb_table())
        if (std::find(groups.begin(), groups.end(), row.group) == groups.end()) groups.push_back(row.group);
    for (const auto group : groups) {
        out += "\n" + std::string(group) + ":\n";
        for (const auto& row : verb_table())
            if (row.group == group) entry(out, row.name, row.summary);
    }
    capabilities(out, context.index, CapabilityKind::command, "Commands of plugins");
    capabilities(out, context.index, CapabilityKind::bootstrap, "Sources of images (SCHEME://...)");
    capabilities(out, context.index, CapabilityKind::format, "Formats of images");
    out +=
        "\nGlobal options (before or after the command):\n"
        "  -q, --quiet         Print warnings and errors only\n"
        "  -s, --silent        Print errors only\n"
        "  -v, --verbose       Print more of what happens\n"
        "  -d, --debug         Print all that happens\n"
        "      --nocolor       Print without colours, also on a terminal\n"
        "      --json          Print JSON, where a command lists something\n"
        "      --set KEY=VALUE Set a configuration value for this command\n"
        "      --version       Print name and version\n"
        "  -h, --help          Print this help\n"
        "\nMore: singularity help COMMAND, singularity help SCHEME, singularity help FORMAT\n";
    return out;
}

}  // namespace sg
