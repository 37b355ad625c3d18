// singularity help [VERB|SCHEME|FORMAT|PLUGIN]
#include <fstream>
#include <memory>

#include "base/nearest.hpp"
#include "cli/complete.hpp"
#include "cli/overview.hpp"
#include "cli/print.hpp"
#include "cli/table.hpp"
#include "cli/verbs.hpp"

namespace sg {

namespace {

// A plugin's README.md is its manual; without one, what the manifest says.
std::string manual(const PluginView& plugin) {
    const std::string manifest(plugin.manifest);
    std::ifstream file(manifest.substr(0, manifest.rfind('/') + 1) + "README.md", std::ios::binary);
    if (file) {
        std::string text((std::istreambuf_iterator<char>(file)), {});
        if (!text.empty()) return text.back() == '\n' ? text : text + "\n";
    }
    return "Plugin " + std::string(plugin.name) + ": " + std::string(plugin.summary) + "\n(it brings no manual)\n";
}

// A name may be both: `sif` is a verb and a format.
bool print_manual(const Index& index, const std::string& name, bool after_verb) {
    for (const auto kind : {CapabilityKind::bootstrap, CapabilityKind::format, CapabilityKind::transport, CapabilityKind::launcher}) {
        if (const auto c = index.find(kind, name)) {
            print((after_verb ? "\n" : "") + manual(index.plugin(c->plugin)));
            return true;
        }
    }
    const auto plugin = index.find_plugin(name);
    if (!plugin || !plugin->active || after_verb) return false;
    print(manual(*plugin));
    return true;
}

struct Options {
    std::vector<std::string> words;
    bool man = false;
    std::string pages;  // where to write all manual pages
};

void write_all_pages(const std::string& directory, Context& context) {
    write_page(directory, "singularity", overview_manual(context));
    std::vector<std::string> names;
    for (const auto& row : verb_table()) names.emplace_back(row.name);
    for (const auto& c : shown_commands(context.index)) names.emplace_back(c.name);
    for (const auto& name : names) run_named(name, {std::string(manuals_request) + directory}, context);
}

int run(const Options& o, Session& session) {
    const std::vector<std::string>& words = o.words;
    Context context = *session.context;
    const Index& index = context.index;
    if (!o.pages.empty()) {
        write_all_pages(o.pages, context);
        return 0;
    }
    if (words.empty()) {
        print(o.man ? overview_manual(context) : overview(context));
        return 0;
    }
    const std::string& name = words.front();
    const std::string scheme = name.substr(0, name.find(':'));  // "docker://" is asked for as well
    if (find_verb(name) || find_command(index, name)) {
        std::vector<std::string> arguments(words.begin() + 1, words.end());
        arguments.emplace_back(o.man ? manual_request : "--help");
        const int code = run_named(name, std::move(arguments), context);
        if (words.size() == 1 && !o.man) print_manual(index, name, true);
        return code;
    }
    if (print_manual(index, scheme, false)) return 0;
    std::vector<std::string_view> names;
    for (const auto& row : verb_table()) names.push_back(row.name);
    for (uint32_t i = 0; i < index.capability_count(); ++i)
        if (!index.capability(i).hidden) names.push_back(index.capability(i).name);
    for (uint32_t i = 0; i < index.plugin_count(); ++i) names.push_back(index.plugin(i).name);
    const std::string told(index.absent(scheme));
    const std::string hint = told.empty() ? did_you_mean(scheme, names) : told;
    throw Error(Code::usage, "no command, scheme or format '" + name + "'", hint + (hint.empty() ? "" : " ") + "See: singularity help");
}

Action declare(Arguments& arguments) {
    auto o = std::make_shared<Options>();
    arguments.words("WHAT", o->words, "A command, a scheme, a format or a plugin").between(0, 4).offers("VERB");
    arguments.flag("--man", o->man, "Print a command's manual page, for 'man -l -'");
    arguments.text("--man-pages", o->pages, "Write all manual pages into this directory").shown_as("DIR").hidden();
    arguments.examples({"singularity help build", "singularity help oci", "singularity help --man key list | man -l -"});
    return [o](Session& session) { return run(*o, session); };
}

}  // namespace

extern const Verb help_verb{"help", "About this installation", "Explain a command, a scheme or a format", {}, false, declare};

}  // namespace sg
