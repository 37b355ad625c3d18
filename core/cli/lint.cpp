// singularity lint FILE
#include <cstdio>
#include <memory>

#include "build/grammar.hpp"
#include "cli/json_writer.hpp"
#include "cli/print.hpp"
#include "cli/verb.hpp"
#include "definition/checks.hpp"
#include "metadata/json_text.hpp"

namespace sg {

namespace {

using definition::Finding;
using definition::Severity;

struct Options {
    std::string file, argument_file;
    std::vector<std::string> arguments;
    bool json = false, rules = false;
};

struct Result {
    bool valid = true;
    size_t stages = 0;
    std::vector<Finding> findings;
    std::string shown;  // the line and hint of the error
};

// "FILE:LINE:COLUMN: WHAT" back to a place and a text.
Finding finding_of(const Error& e, const std::string& file) {
    Finding f{Severity::error, "invalid", {}, e.message()};
    const std::string head = file + ":";
    if (!f.message.starts_with(head)) return f;
    unsigned line = 0, column = 0;
    int length = 0;
    if (std::sscanf(f.message.c_str() + head.size(), "%u:%u: %n", &line, &column, &length) == 2 && length > 0) {
        f.at = {line, column};
        f.message.erase(0, head.size() + static_cast<size_t>(length));
    } else {
        f.message.erase(0, f.message[head.size()] == ' ' ? head.size() + 1 : head.size());
    }
    return f;
}

Result look_at(const definition::Text& text, const Options& o, const Index& index) {
    Result result;
    const definition::Arguments arguments = build_arguments(o.arguments, o.argument_file, false);
    try {
        const definition::Definition d = definition::parse(text, definition_grammar(index), arguments);
        result.stages = d.stages.size();
        result.findings = definition::check(d, arguments);
        for (const definition::Stage& stage : d.stages) {
            const std::string scheme = definition::lower(stage.value("bootstrap"));
            if (index.find(CapabilityKind::bootstrap, scheme)) continue;
            result.valid = false;
            result.findings.push_back({Severity::error, "unknown-source", stage.key("bootstrap")->value_at, definition::shown_text("no registered source serves 'Bootstrap: " + scheme + "'")});
        }
    } catch (const Error& e) {
        if (e.code() != Code::invalid) throw;
        result.valid = false;
        result.findings.push_back(finding_of(e, text.name));
        result.shown = e.hint();
    }
    return result;
}

std::string json_of(const Result& r) {
    JsonWriter w;
    w.begin_object();
    w.key("valid"), w.boolean(r.valid);
    w.key("stages"), w.integer(static_cast<int64_t>(r.stages));
    w.key("findings");
    w.begin_array();
    for (const Finding& f : r.findings) {
        w.begin_object();
        w.member("severity", f.severity == Severity::error ? "error" : "warning");
        w.member("rule", f.rule);
        w.key("line"), w.integer(f.at.line);
        w.key("column"), w.integer(f.at.column);
        w.member("message", valid_utf8(f.message));
        w.end_object();
    }
    w.end_array();
    w.end_object();
    return w.take();
}

void print_rules() {
    std::string out;
    for (const auto& rule : definition::rules()) out += std::string(rule.name) + std::string(rule.name.size() < 20 ? 20 - rule.name.size() : 1, ' ') + std::string(rule.reason) + "\n";
    print(out);
}

int run(const Options& o, Session& session) {
    if (o.rules) {
        print_rules();
        return 0;
    }
    if (o.file.empty()) throw Error(Code::usage, "lint: the definition file is missing", "The form is: singularity lint FILE.def");
    definition::Text text;
    Result r;
    try {
        text = definition::read_text(o.file);
        r = look_at(text, o, session.plugins.index());
    } catch (const Error& e) {
        if (e.code() != Code::invalid) throw;
        text.name = o.file;
        r.valid = false;
        r.findings.push_back(finding_of(e, o.file));
        r.shown = e.hint();
    }
    if (o.json || session.json) {
        print(json_of(r));
        return r.valid ? 0 : 255;
    }
    std::string out;
    for (const Finding& f : r.findings) {
        out += text.name;
        if (f.at.line) out += ":" + std::to_string(f.at.line) + ":" + std::to_string(f.at.column);
        out += std::string(": ") + (f.severity == Severity::error ? "error: " : "warning: ") + f.message + " [" + f.rule + "]\n";
    }
    if (!r.shown.empty()) out += "         " + r.shown + "\n";
    print(out);
    return r.valid ? 0 : 255;
}

Action declare(Arguments& arguments) {
    auto o = std::make_shared<Options>();
    arguments.word("FILE", o->file, "A definition file; - is standard input");
    arguments.list("--build-arg", o->arguments, "A value for {{ NAME }} in the definition").shown_as("NAME=VALUE");
    arguments.text("--build-arg-file", o->argument_file, "Lines NAME=VALUE").shown_as("FILE");
    arguments.flag("-j,--json", o->json, "Print one JSON object: valid, stages, findings");
    arguments.flag("--rules", o->rules, "List the rules, each with its reason");
    arguments.examples({"singularity lint lolcow.def", "singularity lint --json lolcow.def"});
    return [o](Session& session) { return run(*o, session); };
}

}  // namespace

extern const Verb lint_verb{"lint", "Make images", "Check a definition file without building it", {}, true, declare};

}  // namespace sg
