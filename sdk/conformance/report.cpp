#include "report.hpp"

#include <algorithm>
#include <cstdio>

namespace conformance {

namespace {

const char* word(State s) {
    switch (s) {
        case State::passed: return "passed";
        case State::noted: return "passed";
        case State::skipped: return "skipped";
        default: return "FAILED";
    }
}

std::string quoted(const std::string& text) {
    std::string out = "\"";
    for (const char c : text) {
        const auto u = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\')
            out += '\\', out += c;
        else if (u < 0x20 || u == 0x7f) {
            char code[8];
            std::snprintf(code, sizeof code, "\\u%04x", u);
            out += code;
        } else
            out += c;
    }
    return out + "\"";
}

std::string list(const std::vector<std::string>& texts) {
    std::string out = "[";
    for (const auto& t : texts) out += (out.size() > 1 ? ", " : "") + quoted(t);
    return out + "]";
}

long count(const std::vector<Outcome>& outcomes, State s) {
    return std::count_if(outcomes.begin(), outcomes.end(), [&](const Outcome& o) { return o.state == s; });
}

}  // namespace

std::string report_text(const Subject& subject, const std::vector<Outcome>& outcomes) {
    std::string out = "plugin " + subject.name + " (" + subject.object + ")\n";
    for (const auto& o : outcomes) {
        out += std::string(word(o.state)) + std::string(9 - std::string(word(o.state)).size(), ' ') + o.check + "\n";
        for (const auto& f : o.failures) out += "           - " + f + "\n";
        for (const auto& n : o.notes) out += "           note: " + n + "\n";
        if (!o.skipped.empty()) out += "           " + o.skipped + "\n";
    }
    const long failed = count(outcomes, State::failed), skipped = count(outcomes, State::skipped);
    out += std::to_string(outcomes.size()) + " checks, " + std::to_string(failed) + " failed" +
           (skipped ? ", " + std::to_string(skipped) + " skipped" : "") + "\n";
    return out;
}

std::string report_json(const Subject& subject, const std::vector<Outcome>& outcomes) {
    std::string out = "{\n  \"plugin\": " + quoted(subject.name) + ",\n  \"object\": " + quoted(subject.object) +
                      ",\n  \"manifest\": " + quoted(subject.manifest) +
                      ",\n  \"failed\": " + std::to_string(count(outcomes, State::failed)) + ",\n  \"checks\": [";
    for (size_t i = 0; i < outcomes.size(); ++i) {
        const Outcome& o = outcomes[i];
        std::string state = word(o.state);
        std::transform(state.begin(), state.end(), state.begin(), [](unsigned char c) { return std::tolower(c); });
        out += std::string(i ? "," : "") + "\n    {\"check\": " + quoted(o.check) + ", \"state\": " + quoted(state);
        if (!o.failures.empty()) out += ", \"findings\": " + list(o.failures);
        if (!o.notes.empty()) out += ", \"notes\": " + list(o.notes);
        if (!o.skipped.empty()) out += ", \"why\": " + quoted(o.skipped);
        out += "}";
    }
    return out + "\n  ]\n}\n";
}

}  // namespace conformance
