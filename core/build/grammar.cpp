#include "build/grammar.hpp"

namespace sg {

definition::Grammar definition_grammar(const Index& index) {
    definition::Grammar grammar;
    grammar.keywords = [&index](std::string_view bootstrap) -> std::optional<std::vector<std::string>> {
        const auto found = index.find(CapabilityKind::bootstrap, bootstrap);
        if (!found) return std::nullopt;
        return std::vector<std::string>(found->words.begin(), found->words.end());
    };
    for (const auto& source : index.capabilities(CapabilityKind::bootstrap))
        grammar.all.insert(grammar.all.end(), source.words.begin(), source.words.end());
    // Of sources that other tools have: told, and no error where no source here
    // takes them.
    for (const char* key : {"user", "target", "frontend", "filename", "buildargs"}) grammar.all.emplace_back(key);
    return grammar;
}

definition::Arguments build_arguments(const std::vector<std::string>& given, const std::string& file, bool tolerant) {
    definition::Arguments out;
    out.tolerant = tolerant;
    if (!file.empty()) {
        const definition::Text text = definition::read_text(file);
        out.given = definition::parse_argument_lines(text, text.lines);
    }
    for (const std::string& one : given) {
        auto [name, value] = definition::parse_build_argument(one);
        out.given[name] = value;
    }
    return out;
}

}  // namespace sg
