#include "cli/program.hpp"

#include <fcntl.h>
#include <signal.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "base/log.hpp"
#include "base/nearest.hpp"
#include "cli/complete.hpp"
#include "cli/dispatch.hpp"
#include "cli/module_client.hpp"
#include "cli/overview.hpp"
#include "cli/print.hpp"
#include "cli/table.hpp"
#include "config/store.hpp"
#if SG_HAVE_MOUNT
#include "mount/service.hpp"
#endif

#ifndef SG_VERSION
#define SG_VERSION "4.0.0"
#endif

namespace sg {

namespace {

enum class Wanted { verb, version, help };

struct CommandLine {
    GlobalOptions global;
    Wanted wanted = Wanted::verb;
    std::string verb;
    std::vector<std::string> arguments;
};

[[noreturn]] void unknown_global(const std::string& option) {
    throw Error(Code::usage, "unknown option " + option,
                did_you_mean(option.substr(0, option.find('=')),
                             {"--quiet", "--silent", "--verbose", "--debug", "--nocolor", "--json", "--set", "--version", "--help"}));
}

bool set_long(GlobalOptions& g, std::string_view name) {
    if (name == "quiet") return g.quiet = true;
    if (name == "silent") return g.silent = true;
    if (name == "verbose") return g.verbose = true;
    if (name == "debug") return g.debug = true;
    if (name == "nocolor") return g.plain = true;
    if (name == "json") return g.json = true;
    return false;
}

CommandLine read(int argc, char** argv) {
    CommandLine line;
    int i = 1;
    for (; i < argc; ++i) {
        const std::string word = argv[i];
        if (word.size() < 2 || word[0] != '-') break;
        if (word == "--help" || word == "-h") {
            line.wanted = Wanted::help;
        } else if (word == "--version") {
            line.wanted = Wanted::version;
        } else if (word == "--set") {
            if (++i == argc) throw Error(Code::usage, "--set takes KEY=VALUE");
            line.global.settings.emplace_back(argv[i]);
        } else if (word.starts_with("--set=")) {
            line.global.settings.push_back(word.substr(6));
        } else if (word.starts_with("--")) {
            if (!set_long(line.global, std::string_view(word).substr(2))) unknown_global(word);
        } else {
            for (const char c : std::string_view(word).substr(1)) {
                switch (c) {
                    case 'q': line.global.quiet = true; break;
                    case 's': line.global.silent = true; break;
                    case 'v': line.global.verbose = true; break;
                    case 'd': line.global.debug = true; break;
                    case 'h': line.wanted = Wanted::help; break;
                    default: unknown_global(word);
                }
            }
        }
    }
    if (i < argc) line.verb = argv[i++];
    for (; i < argc; ++i) line.arguments.emplace_back(argv[i]);
    return line;
}

std::string_view base_name(std::string_view path) { return path.substr(path.rfind('/') + 1); }

[[noreturn]] void unknown_verb(const std::string& name, const Index& index) {
    std::vector<std::string_view> names;
    for (const auto& row : verb_table()) {
        names.push_back(row.name);
        names.insert(names.end(), row.aliases.begin(), row.aliases.end());
    }
    for (const auto& c : shown_commands(index))
        if (!c.hidden) names.push_back(c.name);
    const std::string hint = did_you_mean(name, names);
    throw Error(Code::usage, "unknown command '" + name + "'", hint + (hint.empty() ? "" : " ") + "See: singularity help");
}

int run(CommandLine line) {
    if (line.wanted == Wanted::version || (line.wanted == Wanted::verb && line.verb == "version" && line.arguments.empty())) {
        // Without a look at any configuration: a broken one must not hide what is installed.
        print(line.wanted == Wanted::version ? "singularity version " SG_VERSION "\n" : SG_VERSION "\n");
        return 0;
    }
    if (line.wanted == Wanted::help) {
        line.arguments = line.verb.empty() ? std::vector<std::string>() : std::vector<std::string>{line.verb};
        line.verb = "help";
    }
    line.global.apply();
    Context context;
    context.installation = Installation::find();
    const bool site = line.verb == "plugin" || line.verb == "config";
    try {
        context.index = load_index(context.installation, Home::find(), site ? Keep::site : Keep::cache).index;
    } catch (const Error& e) {
        if (line.verb == "__complete") return 0;
        // Help must be had also when a configuration file is wrong, and `config` says what is.
        const bool config = line.verb == "config";
        if (line.verb != "help" && line.verb != "buildcfg" && !config && !line.verb.empty()) throw;
        context.index = index_of_what_can_be(context.installation, Home::find(), context.problems);
        if (!config)
            for (const auto& p : context.problems) log::warning(p.message());
    }
    context.global = line.global;
#if SG_HAVE_MOUNT
    context.mount = mount_service();
#endif
    if (line.verb == "__complete") return complete_command_line(std::move(line.arguments), context);
    if (line.verb.empty()) {
        print(overview(context));
        return exit_code(Code::usage);
    }
    try {
        return run_named(line.verb, std::move(line.arguments), context);
    } catch (const Error& e) {
        throw with_site_words(e, context);
    }
}

}  // namespace

int run_named(const std::string& verb, std::vector<std::string> arguments, Context& context) {
    const VerbRow* row = find_verb(verb);
    if (row && row->verb) return dispatch_verb(*row->verb, std::move(arguments), context);
    if (row) return run_in_module(std::string(row->name), arguments, context);
    if (const auto command = find_command(context.index, verb)) return run_command(*command, std::move(arguments), context);
    // The dotted commands of Singularity 2 ("instance.start").
    if (const size_t dot = verb.find('.'); dot != std::string::npos && dot > 0) {
        const std::string first = verb.substr(0, dot);
        if (find_verb(first) || find_command(context.index, first)) {
            arguments.insert(arguments.begin(), verb.substr(dot + 1));
            return run_named(first, std::move(arguments), context);
        }
    }
    unknown_verb(verb, context.index);
}

// A file must not be opened in the place of a standard stream that the caller has closed.
static void open_standard_streams() {
    for (int fd = 0; fd <= 2; ++fd)
        if (fcntl(fd, F_GETFD) < 0) [[maybe_unused]] const int opened = open("/dev/null", fd == 0 ? O_RDONLY : O_WRONLY);
}

// A file that would grow past the limit (ulimit -f) is an error of write(), with a message. By a handler: what is
// started has the default again, where it would inherit that the signal is ignored.
static void outlive_file_limit() {
    struct sigaction action {};
    if (sigaction(SIGXFSZ, nullptr, &action) != 0 || action.sa_handler != SIG_DFL) return;
    action.sa_handler = [](int) {};
    action.sa_flags = SA_RESTART;
    sigaction(SIGXFSZ, &action, nullptr);
}

int run_program(int argc, char** argv) {
    open_standard_streams();
    outlive_file_limit();
    try {
        // What `#!/usr/bin/env run-singularity` at the head of an image calls: FILE ARGUMENTS...
        if (argc > 0 && base_name(argv[0]) == "run-singularity") {
            CommandLine line;
            line.verb = "run";
            for (int i = 1; i < argc; ++i) line.arguments.emplace_back(argv[i]);
            return run(std::move(line));
        }
        return run(read(argc, argv));
    } catch (const Error& e) {
        return report(e);
    } catch (const std::bad_alloc&) {
        return report(Error(Code::limit, "out of memory"));
    } catch (const std::exception& e) {
        return report(Error(Code::internal, std::string("a defect in this program: ") + e.what()));
    }
}

}  // namespace sg
