#include "cli/overview.hpp"

#include <algorithm>

#include "cli/roff.hpp"
#include "cli/table.hpp"

#ifndef SG_VERSION
#define SG_VERSION "4.0.0"
#endif

namespace sg {

namespace {

struct GlobalOption {
    const char *names, *text;
};
constexpr GlobalOption global_options[] = {
    {"-q, --quiet", "Print warnings and errors only"},
    {"-s, --silent", "Print errors only"},
    {"-v, --verbose", "Print more of what happens"},
    {"-d, --debug", "Print all that happens"},
    {"--nocolor", "Print without colours, also on a terminal"},
    {"--json", "Print JSON, where a command lists something"},
    {"--set KEY=VALUE", "Set a configuration value for this command"},
    {"--version", "Print name and version"},
    {"-h, --help", "Print this help"},
};

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
        "\nGlobal options (before or after the command):\n";
    for (const auto& o : global_options) {
        std::string line = std::string("  ") + (o.names[1] == '-' ? "    " : "") + o.names;
        line.append(line.size() < 22 ? 22 - line.size() : 1, ' ');
        out += line + o.text + "\n";
    }
    return out + "\nMore: singularity help COMMAND, singularity help SCHEME, singularity help FORMAT\n";
}

std::string overview_manual(const Context& context) {
    using roff::item;
    std::string out = roff::head("", SG_VERSION, "containers for science: from images to single files that run anywhere");
    out += ".SH SYNOPSIS\n" + roff::bold("singularity") + " [global options] COMMAND [options] ...\n";
    out += ".SH DESCRIPTION\n" + roff::filled("Turns Docker and OCI images into single files and runs them, without a daemon and without root.");
    std::vector<std::string_view> groups;
    for (const auto& row : verb_table())
        if (std::find(groups.begin(), groups.end(), row.group) == groups.end()) groups.push_back(row.group);
    out += ".SH COMMANDS\n";
    for (const auto group : groups) {
        out += ".SS " + roff::plain(group) + "\n";
        for (const auto& row : verb_table())
            if (row.group == group) out += item(roff::bold(row.name), std::string(row.summary) + ": " + roff::page_name(row.name) + "(1)");
    }
    const auto section = [&](CapabilityKind kind, const char* title, std::string_view behind, bool pages) {
        auto all = context.index.capabilities(kind);
        std::erase_if(all, [](const CapabilityView& c) { return c.hidden; });
        if (all.empty()) return;
        out += std::string(pages ? ".SS " : ".SH ") + title + "\n";
        for (const auto& c : all) {
            const PluginView p = context.index.plugin(c.plugin);
            const std::string text(c.summary.empty() ? p.summary : c.summary);
            out += item(roff::bold(std::string(c.name) + std::string(behind)), text + (pages ? ": " + roff::page_name(c.name) + "(1)" : ""));
        }
    };
    section(CapabilityKind::command, "Commands of plugins", "", true);
    section(CapabilityKind::bootstrap, "SOURCES", "://", false);
    section(CapabilityKind::format, "FORMATS", "", false);
    out += ".SH \"GLOBAL OPTIONS\"\n";
    for (const auto& o : global_options) out += item(roff::bold(o.names), o.text);
    out += ".SH ENVIRONMENT\n";
    out += item("SINGULARITY_" + roff::slanted("NAME"), "Does what the option or the configuration key does that is documented with it; APPTAINER_NAME is read too.");
    out += item(roff::bold("SINGULARITY_CACHEDIR"), "The directory below which 'cache' lies, instead of ~/.singularity.");
    out += ".SH FILES\n" + item("~/.singularity/cache", "Images and layers that were fetched.") + item("~/.singularity/config.yaml", "The user's own configuration.") +
           item("etc/singularity/singularity.yaml", "The site's configuration, below the prefix of the installation, or /etc when that is /usr.");
    out += ".SH \"EXIT STATUS\"\n" + item("0", "It was done.") + item("1", "The command line is wrong.") + item("255", "Anything else went wrong.") +
           roff::filled("run, exec and shell end with the status of the program in the container.");
    return out + ".SH \"SEE ALSO\"\n" + roff::refer("help") + "\n";
}

}  // namespace sg
