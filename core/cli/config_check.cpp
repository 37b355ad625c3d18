#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <singularity/json.hpp>
#include <singularity/stream.hpp>

#include "cli/config_actions.hpp"
#include "cli/dispatch.hpp"
#include "cli/json_writer.hpp"
#include "cli/print.hpp"
#include "config/compile.hpp"
#include "config/encode.hpp"
#include "config/home.hpp"
#include "config/policy.hpp"
#include "lookup/request.hpp"
#include "lookup/source_uri.hpp"
#include "plugin/source_policy.hpp"
#include "runtime/binds.hpp"
#include "runtime/image_policy.hpp"

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

// What the policies say of what was typed: of a reference, an image file, or each base of a definition file.
class Foreseen {
public:
    explicit Foreseen(Session& session) : session_(session), plugins_(session.plugins), index_(session.plugins.index()), call_(session.call()) {}

    struct Judged {
        std::string place;  // in a definition file, or ""
        policy::Judgement of;
        bool builds_only = false;  // it may be run all the same
    };

    std::vector<Judged> judge(const std::string& text) {
        const SourceUri uri = read_uri(text, [&](std::string_view s) { return index_.find(CapabilityKind::bootstrap, s).has_value(); });
        if (!uri.scheme.empty()) {
            if (!index_.find(CapabilityKind::bootstrap, uri.scheme)) throw plugins_.unknown_scheme(uri.scheme);
            source(request_of(uri.scheme, uri.reference), "");
        } else if (::access(text.c_str(), F_OK) != 0) {
            throw system_error(errno, "cannot open", text);
        } else if (is_image(text)) {
            image(text, "");
            as_base(text);
        } else {
            definition(text);
        }
        return std::move(out_);
    }

private:
    SourceRequest request_of(const std::string& scheme, const std::string& reference) const {
        SourceRequest r;
        r.scheme = scheme;
        r.reference = reference;
        r.options = session_.plugin_options();
        return r;
    }

    bool is_image(const std::string& path) {
        try {
            plugins_.open_image(path);
            return true;
        } catch (const Error& e) {
            if (e.code() != Code::invalid) throw;
            return false;
        }
    }

    bool reads_paths(const std::string& scheme) const {
        const auto c = index_.find(CapabilityKind::bootstrap, scheme);
        return c && c->plain_paths;
    }

    void add(std::vector<policy::Judgement> judgements, const std::string& place) {
        for (auto& j : judgements) out_.push_back({place, std::move(j)});
    }

    void source(const SourceRequest& r, const std::string& place) {
        add(judge_source(plugins_, SourceSpec(r).c), place);
        if (reads_paths(r.scheme) && ::access(r.reference.c_str(), F_OK) == 0) image(r.reference, place);
    }

    void image(const std::string& path, const std::string& place) { add(runtime::image_policy(plugins_, {path}, &call_).rulings, place); }

    // An image may be run and yet not be what others are built on.
    void as_base(const std::string& path) {
        for (const auto& c : index_.capabilities(CapabilityKind::bootstrap)) {
            if (!c.plain_paths) continue;
            for (auto& j : judge_source(plugins_, SourceSpec(request_of(std::string(c.name), path)).c))
                if (!j.ruling.allowed) out_.push_back({"", std::move(j), true});
        }
    }

    void definition(const std::string& file) {
        if (!session_.context) throw Error(Code::internal, "a session without a command reads no definitions");
        sg_slice bytes{};
        singularity::check([&](sg_error* e) { return definitions_of(*session_.context)().read(file.c_str(), nullptr, &bytes, e); });
        const singularity::Slice held(bytes);
        const singularity::json::Document document(std::string(reinterpret_cast<const char*>(held.data()), held.size()), file, 64 << 20);
        for (const auto& stage : document.root()["stages"].list()) {
            std::string line;
            SourceRequest r = request_of(stage["bootstrap"].text_or(), stage["from"].text_or());
            for (const auto& key : stage["header"].list()) {
                const std::string name = key["key"].text(), value = key["value"].text();
                if (name == "bootstrap") line = std::to_string(key["line"].integer());
                else if (name != "from" && name != "stage") r.options.emplace_back(name, value);
            }
            std::transform(r.scheme.begin(), r.scheme.end(), r.scheme.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
            source(r, file + ":" + line + ": ");
        }
    }

    Session& session_;
    PluginHost& plugins_;
    const Index& index_;
    const sg_call call_;
    std::vector<Judged> out_;
};

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
    const auto rulings = Foreseen(session).judge(what);
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
