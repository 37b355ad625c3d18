#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "cli/config_actions.hpp"
#include "cli/dispatch.hpp"
#include "cli/foreseen.hpp"
#include "cli/json_writer.hpp"
#include "cli/print.hpp"
#include "config/compile.hpp"
#include "config/encode.hpp"
#include "config/home.hpp"
#include "config/policy.hpp"
#include "lookup/source_uri.hpp"
#include "plugin/object_file.hpp"
#include "runtime/binds.hpp"

namespace sg {

namespace {

struct Finding {
    bool fatal;  // it stops commands, or does not do what it says
    std::string message, hint;
};

class Checker {
public:
    explicit Checker(const Settings& settings) : settings_(settings), index_(settings.index()) {}

    // What the reader of the files cannot know: values that fit nothing on this machine.
    std::vector<Finding> run() {
        sources();
        binds();
        directories();
        launcher();
        signers();
        objects();
        return std::move(out_);
    }

private:
    void add(bool fatal, const std::string& where, const std::string& what, std::string hint = {}) { out_.push_back({fatal, where + ": " + what, std::move(hint)}); }

    void sources() {
        for (const std::string key : {"policy.sources.allow", "policy.sources.deny"}) {
            const auto values = settings_.list(key);
            for (size_t i = 0; i < values.size(); ++i)
                if (!index_.find(CapabilityKind::bootstrap, values[i]))
                    add(false, settings_.origin(key, i).where, "'" + key + "': no registered source is called '" + values[i] + "'");
        }
    }

    void binds() {
        const auto values = settings_.list("bind.paths");
        for (size_t i = 0; i < values.size(); ++i) {
            const std::string where = settings_.origin("bind.paths", i).where;
            try {
                for (const auto& b : runtime::parse_binds(values[i]))
                    if (settings_.origin("bind.paths", i).layer != Layer::builtin && ::access(b.source.c_str(), F_OK) != 0)
                        add(false, where, "'bind.paths': " + b.source + " does not exist on this machine");
            } catch (const Error& e) {
                add(true, where, "'bind.paths': " + e.message(), e.hint());
            }
        }
    }

    void directories() {
        for (const char* key : {"tmpdir", "cachedir", "cache.shared"}) {
            const std::string path = settings_.text(key);
            struct stat st {};
            if (path.empty() || settings_.origin(key).layer == Layer::builtin) continue;
            if (path[0] != '/')
                add(true, settings_.origin(key).where, "'" + std::string(key) + "': " + path + " is no absolute path");
            else if (::stat(path.c_str(), &st) != 0 || !S_ISDIR(st.st_mode))
                add(false, settings_.origin(key).where, "'" + std::string(key) + "': there is no directory " + path + " on this machine");
        }
    }

    void launcher() {
        const std::string name = settings_.text("launcher");
        if (!name.empty() && !index_.find(CapabilityKind::launcher, name)) add(true, settings_.origin("launcher").where, "'launcher': no registered launcher is called '" + name + "'");
    }

    void signers() {
        if (!policy::has_rules_on(settings_, "signers")) return;
        for (const auto& c : index_.capabilities(CapabilityKind::hook))
            if (std::find(c.words.begin(), c.words.end(), "signers") != c.words.end()) return;
        const char* key = settings_.list("policy.signers.allow").empty() ? "policy.signers.deny" : "policy.signers.allow";
        add(true, settings_.origin(key).where, "'" + std::string(key) + "': no registered plugin tells who signed an image, so none may be run");
    }

    // What is wrong with an object that can be seen without running any of it.
    void objects() {
        for (uint32_t i = 0; i < index_.plugin_count(); ++i) {
            const PluginView p = index_.plugin(i);
            if (!p.active) continue;
            const std::string path(p.object), said = "plugin " + std::string(p.name) + ": its object " + path + " ";
            const std::string defect = ::access(path.c_str(), R_OK) != 0 ? "cannot be read: " + std::generic_category().message(errno) : object_defect(path);
            if (!defect.empty()) add(true, std::string(p.registered_in) + ":" + std::to_string(p.registered_line), said + defect, "Install the plugin again, or remove its registration.");
        }
    }

    const Settings& settings_;
    const Index& index_;
    std::vector<Finding> out_;
};

std::string files_read(const Index& index) {
    size_t count = 0;
    for (uint32_t i = 0; i < index.file_count(); ++i)
        if (index.file(i).kind == 1) ++count;
    return std::to_string(count) + (count == 1 ? " file" : " files");
}

}  // namespace

int check_configuration(Session& session) {
    std::vector<Error> problems;
    const Index index = Index::owning(encode_index(compile_what_can_be(session.installation, Home::find(), problems)));
    Settings settings(index);
    settings.apply_environment(environ, &problems);
    std::vector<Finding> findings;
    for (const auto& p : problems) findings.push_back({true, p.message(), p.hint()});
    for (const auto w : index.warnings()) findings.push_back({false, std::string(w), ""});
    for (auto& f : Checker(settings).run()) findings.push_back(std::move(f));
    const bool good = std::none_of(findings.begin(), findings.end(), [](const Finding& f) { return f.fatal; });
    if (session.json) {
        JsonWriter json;
        json.begin_object();
        json.key("valid");
        json.boolean(good);
        json.key("files");
        json.begin_array();
        for (const auto& f : index.files())
            if (f.kind == 1) json.text(f.path);
        json.end_array();
        json.key("findings");
        json.begin_array();
        for (const auto& f : findings) {
            json.begin_object();
            json.member("severity", f.fatal ? "error" : "warning");
            json.member("message", f.message);
            if (!f.hint.empty()) json.member("hint", f.hint);
            json.end_object();
        }
        json.end_array();
        json.end_object();
        print(json.take());
        return good ? 0 : 255;
    }
    std::string out;
    for (const auto& f : findings) {
        out += std::string(f.fatal ? "error: " : "warning: ") + f.message + "\n";
        if (!f.hint.empty()) out += "         " + f.hint + "\n";
    }
    out += files_read(index) + " read: " + (findings.empty() ? "nothing is wrong" : std::to_string(findings.size()) + (findings.size() == 1 ? " finding" : " findings")) + "\n";
    print(out);
    return good ? 0 : 255;
}

int check_permission(const std::string& what, Session& session) {
    const auto rulings = foresee(session.plugins, definitions_of(*session.context), session.plugin_options(), what, session.call());
    const bool allowed = std::all_of(rulings.begin(), rulings.end(), [](const auto& r) { return r.of.ruling.allowed || r.builds_only; });
    const std::string shown = shown_uri(what);
    if (session.json) {
        JsonWriter json;
        json.begin_object();
        json.member("for", shown);
        json.key("allowed");
        json.boolean(allowed);
        json.key("rules");
        json.begin_array();
        for (const auto& r : rulings) {
            json.begin_object();
            json.member("about", r.of.what);
            if (!r.place.empty()) json.member("place", r.place.substr(0, r.place.size() - 2));
            if (r.builds_only) json.member("of", "build");
            json.key("allows");
            json.boolean(r.of.ruling.allowed);
            json.member("key", r.of.ruling.key);
            json.member("rule", r.of.ruling.rule);
            json.member("origin", r.of.ruling.where);
            json.end_object();
        }
        json.end_array();
        json.end_object();
        print(json.take());
        return allowed ? 0 : 255;
    }
    std::string out;
    for (const auto& [place, of, builds_only] : rulings)
        out += std::string(of.ruling.allowed ? "allowed: " : builds_only ? "refused as the base of a build: " : "refused: ") + place + of.what + ", by " + of.ruling.key +
               (of.ruling.rule.empty() ? ", which does not name it" : " '" + of.ruling.rule + "'") + " (" + of.ruling.where + ")\n";
    out += shown + (allowed ? rulings.empty() ? " is allowed: no rule speaks of it\n" : " is allowed\n" : " would be refused\n");
    print(out);
    return allowed ? 0 : 255;
}

}  // namespace sg
