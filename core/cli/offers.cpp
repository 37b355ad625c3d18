// What values may be, asked for while a user types: never a failure, and nothing is changed.
#include <dirent.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <memory>
#include <set>

#include "base/log.hpp"
#include "cli/complete.hpp"
#include "cli/print.hpp"
#include "cli/table.hpp"
#include "cli/terminal.hpp"
#include "config/home.hpp"
#if SG_WITH_INSTANCE
#include "cli/instance_access.hpp"
#endif

#ifndef SG_VERSION
#define SG_VERSION "4.0.0"
#endif

namespace sg {

namespace {

using Candidates = std::vector<Arguments::Candidate>;

std::vector<std::string> names_in(const std::string& directory) {
    std::vector<std::string> out;
    const std::unique_ptr<DIR, int (*)(DIR*)> dir(opendir(directory.c_str()), closedir);
    if (!dir) return out;
    while (const dirent* e = readdir(dir.get()))
        if (e->d_name[0] != '.') out.emplace_back(e->d_name);
    return out;
}

void add_schemes(const Index& index, Candidates& to) {
    for (const auto& c : index.capabilities(CapabilityKind::bootstrap))
        to.push_back(
            {std::string(c.name) + "://", std::string(c.summary.empty() ? index.plugin(c.plugin).summary : c.summary)});
}

// Images that the cache holds: ROOT/AREA/HASH/NAME. `word` is the beginning of a name, or of a path.
void add_cached(const Context& context, bool as_path, const std::string& word, Candidates& to) {
    const Settings settings = settings_for(context, true);
    const std::string configured = settings.text("cachedir");
    const std::string root = (configured.empty() ? Home::find().config : configured) + "/cache";
    std::set<std::string_view> areas;  // some are shared by several plugins
    for (const auto& area : context.index.cache_areas()) areas.insert(area.area);
    for (const auto area : areas) {
        const std::string folder = root + "/" + std::string(area);
        for (const auto& hash : names_in(folder))
            for (const auto& name : names_in(folder + "/" + hash))
                if (name.starts_with(word))
                    to.push_back({as_path ? folder + "/" + hash + "/" + name : name, "in the cache"});
    }
}

// A word that begins no file's name may be meant for an image of the cache.
bool begins_a_file(const std::string& word) {
    if (word.find('/') != std::string::npos) return true;
    for (const auto& name : names_in("."))
        if (name.starts_with(word)) return true;
    return false;
}

#if SG_WITH_INSTANCE
void add_instances(const Context& context, const std::string& before, Candidates& to) {
    const Settings settings = settings_for(context, true);
    CancelToken cancel;
    const auto progress = terminal_progress();
    PluginHost plugins(settings, context.index, context.mount, credentials_of(context, cancel));
    Session session{settings, plugins, cancel, *progress, context.installation, false, false, {}, {}, &context};
    for (const auto& i : instances_of().list("", launchers_of(session))) to.push_back({before + i.name, i.image});
}
#else
void add_instances(const Context&, const std::string&, Candidates&) {}
#endif

void offer(const Context& context, std::string_view what, const std::string& word, Candidates& to) {
    const Index& index = context.index;
    if (what == "IMAGE" || what == "SOURCE") {
        add_schemes(index, to);
        if (!word.empty() && !begins_a_file(word)) add_cached(context, true, word, to);
        to.push_back({":files", ""});
    } else if (what == "URI") {
        add_schemes(index, to);
        to.push_back({":files", ""});
    } else if (what == "CONTAINER") {
        if (word.starts_with("instance:"))
            add_instances(context, "instance://", to);
        else
            to.push_back({"instance://", "a container that runs under a name"});
    } else if (what == "INSTANCE") {
        add_instances(context, "", to);
    } else if (what == "CACHED") {
        add_cached(context, false, word, to);
    } else if (what == "PLUGIN") {
        for (uint32_t i = 0; i < index.plugin_count(); ++i)
            to.push_back({std::string(index.plugin(i).name), std::string(index.plugin(i).summary)});
    } else if (what == "KEY" || what == "KEY=VALUE") {
        for (uint32_t i = 0; i < index.key_count(); ++i) {
            const KeyView k = index.key(i);
            to.push_back({std::string(k.name) + (what == "KEY" ? "" : "="), std::string(k.doc)});
        }
    } else if (what == "VERB") {
        for (const auto& row : verb_table()) to.push_back({std::string(row.name), std::string(row.summary)});
        for (const auto& c : shown_commands(index))
            to.push_back({std::string(c.name), std::string(c.summary)});
    } else if (what == "DIR" || what == "DIRECTORY") {
        to.push_back({":directories", ""});
    } else if (what != "NUMBER") {
        to.push_back({":files", ""});
    }
}

// The pages of a verb and of all below it.
void write_pages(const Arguments& arguments, const std::string& directory) {
    std::string name = "singularity-" + arguments.name();
    for (char& c : name)
        if (c == ' ') c = '-';
    write_page(directory, name, arguments.manual(SG_VERSION));
    for (const auto& below : arguments.commands()) write_pages(*below, directory);
}

}  // namespace

void write_page(const std::string& directory, const std::string& name, const std::string& text) {
    const std::string path = directory + "/" + name + ".1";
    std::ofstream file(path, std::ios::binary | std::ios::trunc);
    file << text;
    file.close();
    if (!file) throw Error(Code::io, "cannot write " + path);
}

void print_candidates(Candidates all, const std::string& current) {
    std::string out, ways;
    for (const auto& c : all) {
        if (c.word.starts_with(':')) {
            if (ways.find(c.word) == std::string::npos) ways += c.word + "\n";
            continue;
        }
        // A path of the cache stands for its last part.
        if (!c.word.starts_with(current) && c.help != "in the cache") continue;
        std::string help = c.help.substr(0, c.help.find('\n'));
        for (char& h : help)
            if (h == '\t') h = ' ';
        out += c.word + "\t" + help + "\n";
    }
    print(out + ways);
}

bool answered(const Arguments& arguments, const std::vector<std::string>& words, const Context& context) {
    if (words.empty() || !words.back().starts_with('\x1f')) return false;
    const std::string& request = words.back();
    const std::vector<std::string> before(words.begin(), words.end() - 1);
    if (request == complete_request) {
        const auto found = arguments.complete(before, [&](std::string_view what, const std::string& word,
                                                          Candidates& to) { offer(context, what, word, to); });
        print_candidates(found, before.empty() ? "" : before.back());
    } else if (request == manual_request) {
        const Arguments* at = &arguments;
        for (const auto& word : before) {
            const auto& all = at->commands();
            const auto below = std::find_if(all.begin(), all.end(),
                                            [&](const auto& c) { return c->name() == at->name() + " " + word; });
            if (below == all.end())
                throw Error(Code::usage, "'" + at->name() + "' has no command '" + word + "'",
                            "See: singularity help " + at->name());
            at = below->get();
        }
        print(at->manual(SG_VERSION));
    } else {
        write_pages(arguments, request.substr(manuals_request.size()));
    }
    return true;
}

}  // namespace sg
