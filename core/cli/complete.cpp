// What the last word of a command line can go on to, as far as a verb's arguments tell.
#include <algorithm>

#include "cli/arguments.hpp"

namespace sg {

namespace {

// The names of words in a text such as "singularity verify [options] IMAGE" or "IMAGE NAME [ARGUMENTS]".
std::vector<std::string> capitals(std::string_view usage) {
    std::vector<std::string> out;
    std::string word;
    bool of_option = false;
    for (const char c : std::string(usage) + " ") {
        if ((c >= 'A' && c <= 'Z') || (c == '_' && !word.empty())) {
            word += c;
            continue;
        }
        if (!word.empty() && !of_option) out.push_back(word);
        if (!word.empty() || c == ']') of_option = false;
        word.clear();
        if (c == '-') of_option = true;  // "--data DIR" is no word
    }
    return out;
}

}  // namespace

std::vector<std::string> Arguments::places() const {
    std::vector<std::string> out;
    for (const auto& a : all_)
        if (a.is_word_ && !a.help_.empty()) out.emplace_back(a.offers_.empty() ? a.names_ : a.offers_);
    return out.empty() ? capitals(usage_) : out;
}

void Arguments::complete_value(const Argument& option, const std::string& word, const Offer& offer,
                               std::vector<Candidate>& to) const {
    if (!option.choices_.empty()) {
        for (const auto c : option.choices_) to.push_back({std::string(c), ""});
        return;
    }
    offer(option.offers_.empty() ? option.shown_value() : option.offers_, word, to);
}

std::vector<Arguments::Candidate> Arguments::complete(const std::vector<std::string>& words, const Offer& offer) const {
    std::vector<Candidate> out;
    if (words.empty()) return out;
    const std::string& current = words.back();
    const Arguments* at = this;
    const auto option_of = [&](std::string_view name) -> const Argument* {
        for (const Arguments* level = at; level; level = level->above_)
            if (const Argument* found = level->find(name)) return found;
        return nullptr;
    };
    const auto takes_value = [](const Argument* option) { return option && option->kind_ != Argument::Kind::flag; };

    size_t place = 0;
    bool only_words = false;
    for (size_t i = 0; i + 1 < words.size(); ++i) {
        const std::string& word = words[i];
        if (!only_words && word == "--") {
            only_words = true;
        } else if (!only_words && word.size() > 1 && word[0] == '-') {
            const Argument* option = word.starts_with("--")
                                         ? (word.find('=') == std::string::npos ? option_of(word) : nullptr)
                                         : option_of("-" + word.substr(word.size() - 1));
            if (!takes_value(option)) continue;
            if (i + 2 == words.size()) {
                complete_value(*option, current, offer, out);
                return out;
            }
            ++i;
        } else if (!at->commands_.empty()) {
            const auto below = std::find_if(at->commands_.begin(), at->commands_.end(),
                                            [&](const auto& c) { return c->own_name() == word; });
            if (below == at->commands_.end()) return out;
            at = below->get();
        } else {
            ++place;
            if (at->pass_rest_) only_words = true;
        }
    }

    if (!only_words && current.starts_with("--") && current.find('=') != std::string::npos) {
        const size_t equals = current.find('=');
        const Argument* option = option_of(current.substr(0, equals));
        if (!takes_value(option)) return out;
        complete_value(*option, current.substr(equals + 1), offer, out);
        for (auto& c : out)
            if (!c.word.starts_with(':')) c.word = current.substr(0, equals + 1) + c.word;
        return out;
    }
    if (!only_words && current.starts_with('-')) {
        for (const Arguments* level = at; level; level = level->above_)
            for (const auto& a : level->all_) {
                if (a.is_word_ || a.hidden_) continue;
                const auto name = a.long_name();
                out.push_back({name.empty() ? a.shown_name() : "--" + std::string(name), std::string(a.help_)});
            }
        out.push_back({"--help", "Print this help"});
        return out;
    }
    if (!at->commands_.empty()) {
        for (const auto& c : at->commands_) out.push_back({std::string(c->own_name()), c->summary_});
        return out;
    }
    const auto names = at->places();
    if (place == 0)
        for (const auto& a : at->all_)
            if (a.is_word_ && !a.choices_.empty()) {
                complete_value(a, current, offer, out);
                return out;
            }
    const bool repeats = std::any_of(at->all_.begin(), at->all_.end(), [](const Argument& a) {
        return a.is_word_ && a.kind_ == Argument::Kind::list && a.most_ > 1;
    });
    if (names.empty() || (place >= names.size() && !repeats && !at->pass_rest_)) return out;
    const std::string& what = place < names.size() ? names[place] : names.back();
    // What runs a container takes one that runs already, too.
    if (place == 0 && at->pass_rest_ && !at->above_) offer("CONTAINER", current, out);
    offer(place < names.size() || repeats ? what : "FILE", current, out);
    return out;
}

}  // namespace sg
