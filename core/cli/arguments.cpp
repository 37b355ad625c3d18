#include "cli/arguments.hpp"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>

#include "base/error.hpp"
#include "base/nearest.hpp"
#include "config/schema.hpp"
#include "config/settings.hpp"

namespace sg {

namespace {

// Calls visit(part) for each part of "a,b" until it returns true.
template <class Visit>
bool any_part(std::string_view text, const Visit& visit) {
    while (!text.empty()) {
        const size_t end = std::min(text.find(','), text.size());
        if (end > 0 && visit(text.substr(0, end))) return true;
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return false;
}

bool is_option(const std::string& word) { return word.size() > 1 && word[0] == '-'; }

std::string joined(const std::vector<std::string_view>& words) {
    std::string out;
    for (size_t i = 0; i < words.size(); ++i) out += (i == 0 ? "" : i + 1 == words.size() ? " or " : ", ") + std::string(words[i]);
    return out;
}

}  // namespace

// ---- One argument -----------------------------------------------------------------------------------

Argument::Argument(Kind kind, std::string_view names, void* target, std::string_view help)
    : kind_(kind), is_word_(!names.starts_with('-')), names_(names), help_(help), target_(target) {}

bool Argument::has_name(std::string_view name) const {
    return !is_word_ && any_part(names_, [&](std::string_view part) { return part == name; });
}

std::string_view Argument::long_name() const {
    std::string_view found;
    any_part(names_, [&](std::string_view part) { return part.starts_with("--") && (found = part.substr(2), true); });
    return found;
}

std::string Argument::shown_name() const {
    if (const auto name = long_name(); !name.empty()) return "--" + std::string(name);
    return std::string(names_.substr(0, names_.find(',')));
}

// `how` names it in messages: as it was typed, or its variable.
void Argument::take(std::string value, const std::string& how) {
    if (kind_ == Kind::flag) {
        try {
            value = canonical(value, ValueType::boolean, {});
        } catch (const Error& e) {
            throw Error(Code::usage, how + ": " + e.message());
        }
    }
    if (kind_ == Kind::integer) {
        int64_t number = 0;
        const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
        if (error != std::errc() || end != value.data() + value.size()) throw Error(Code::usage, how + ": '" + value + "' is not a number");
    }
    if (!choices_.empty() && std::find(choices_.begin(), choices_.end(), value) == choices_.end())
        throw Error(Code::usage, how + ": '" + value + "' is not " + joined(choices_), did_you_mean(value, choices_));
    if (kind_ != Kind::list) values_.clear();
    values_.push_back(std::move(value));
}

void Argument::store() const {
    if (!target_ || values_.empty()) return;
    switch (kind_) {
        case Kind::flag: *static_cast<bool*>(target_) = values_.back() == "true"; break;
        case Kind::text: *static_cast<std::string*>(target_) = values_.back(); break;
        case Kind::integer: {
            const std::string& v = values_.back();
            std::from_chars(v.data(), v.data() + v.size(), *static_cast<int64_t*>(target_));
            break;
        }
        case Kind::list: *static_cast<std::vector<std::string>*>(target_) = values_; break;
    }
}

// ---- Declaring --------------------------------------------------------------------------------------

Arguments::Arguments(std::string name, std::string summary) : name_(std::move(name)), summary_(std::move(summary)) {}

Argument& Arguments::add(Argument::Kind kind, std::string_view names, void* target, std::string_view help) {
    return all_.emplace_back(Argument(kind, names, target, help));
}

Arguments& Arguments::command(std::string_view name, std::string_view summary) {
    auto& below = *commands_.emplace_back(std::make_unique<Arguments>(name_ + " " + std::string(name), std::string(summary)));
    below.above_ = this;
    return below;
}

const Arguments& Arguments::chosen() const { return chosen_ ? chosen_->chosen() : *this; }
Arguments& Arguments::chosen() { return chosen_ ? chosen_->chosen() : *this; }

const Argument* Arguments::find(std::string_view name) const {
    for (const auto& a : all_)
        if (a.has_name(name)) return &a;
    return nullptr;
}

Argument* Arguments::find_above(std::string_view name) {
    for (Arguments* at = this; at; at = at->above_)
        for (auto& a : at->all_)
            if (a.has_name(name)) return &a;
    return nullptr;
}

// ---- Parsing ----------------------------------------------------------------------------------------

void Arguments::refuse(const std::string& what, const std::string& hint) const {
    throw Error(Code::usage, what, hint + (hint.empty() ? "" : " ") + "See: singularity help " + name_);
}

void Arguments::refuse_option(const std::string& word) const {
    const std::string name = word.starts_with("--") ? word.substr(0, word.find('=')) : word;
    std::vector<std::string_view> names;
    for (const Arguments* at = this; at; at = at->above_)
        for (const auto& a : at->all_)
            if (!a.is_word_ && !a.hidden_) any_part(a.names_, [&](std::string_view part) { return part.starts_with("--") && (names.push_back(part), false); });
    refuse("unknown option " + name + " for '" + name_ + "'", did_you_mean(name, names));
}

// Reads the option at `at`; gives the place behind it and its value.
size_t Arguments::read_option(const std::vector<std::string>& arguments, size_t at) {
    const std::string& word = arguments[at];
    if (!word.starts_with("--")) return read_short(arguments, at);
    const size_t equals = word.find('=');
    const std::string name = word.substr(0, equals);
    Argument* option = find_above(name);
    if (!option) {
        if (name == "--help") return help_ = true, at + 1;
        refuse_option(word);
    }
    std::string value;
    if (equals != std::string::npos)
        value = word.substr(equals + 1);
    else if (option->kind_ == Argument::Kind::flag)
        value = "true";
    else if (++at < arguments.size())
        value = arguments[at];
    else
        refuse(name + " needs a value");
    option->take(std::move(value), name);
    order_.push_back(option);
    return at + 1;
}

// "-x", "-xyz" (flags), "-xVALUE", "-x VALUE", "-x=VALUE".
size_t Arguments::read_short(const std::vector<std::string>& arguments, size_t at) {
    const std::string& word = arguments[at];
    for (size_t i = 1; i < word.size(); ++i) {
        const std::string name = std::string("-") + word[i];
        Argument* option = find_above(name);
        if (!option) {
            if (name == "-h") {
                help_ = true;
                continue;
            }
            refuse_option(name);
        }
        std::string value = "true";
        const bool flag = option->kind_ == Argument::Kind::flag;
        if (!flag || word[i + 1] == '=') {
            if (i + 1 < word.size())
                value = word.substr(i + (word[i + 1] == '=' ? 2 : 1));
            else if (++at < arguments.size())
                value = arguments[at];
            else
                refuse(name + " needs a value");
            i = word.size();
        }
        option->take(std::move(value), name);
        order_.push_back(option);
    }
    return at + 1;
}

bool Arguments::parse(const std::vector<std::string>& arguments) {
    Arguments* at = this;
    std::vector<std::string> words;
    bool only_words = false;
    for (size_t i = 0; i < arguments.size();) {
        const std::string& word = arguments[i];
        if (!only_words && word == "--") {
            only_words = true;
            ++i;
        } else if (!only_words && is_option(word)) {
            i = at->read_option(arguments, i);
            if (at->help_) help_ = true;
        } else if (!at->commands_.empty()) {
            const auto below = std::find_if(at->commands_.begin(), at->commands_.end(), [&](const auto& c) { return c->name_ == at->name_ + " " + word; });
            if (below == at->commands_.end()) {
                std::vector<std::string_view> names;
                for (const auto& c : at->commands_) names.push_back(std::string_view(c->name_).substr(at->name_.size() + 1));
                at->refuse("'" + at->name_ + "' has no command '" + word + "'", did_you_mean(word, names));
            }
            at = at->chosen_ = below->get();
            ++i;
        } else if (at->pass_rest_) {
            at->rest_.assign(arguments.begin() + static_cast<ptrdiff_t>(i), arguments.end());
            break;
        } else {
            words.push_back(word);
            ++i;
        }
    }
    if (help_) return false;
    if (!at->commands_.empty()) at->refuse("'" + at->name_ + "' needs a command");
    at->place_words(std::move(words));
    for (const Arguments* level = at; level; level = level->above_)
        for (const auto& a : level->all_) {
            if (a.required_ && a.values_.empty()) at->refuse(at->name_ + ": " + a.shown_name() + " is missing");
            a.store();
        }
    return true;
}

// Words go to their places in the order of declaration; a list takes all that the words behind it leave.
void Arguments::place_words(std::vector<std::string> words) {
    size_t next = 0;
    for (auto& a : all_) {
        if (!a.is_word_) continue;
        const size_t most = a.kind_ == Argument::Kind::list ? a.most_ : 1;
        size_t taken = 0;
        for (; taken < most && next < words.size(); ++taken) a.take(words[next++], a.shown_name());
        if (a.least_ > taken && (a.required_ || taken > 0))
            refuse(name_ + ": " + a.shown_name() + " is missing");
    }
    if (next < words.size()) refuse("'" + name_ + "' does not take the argument '" + words[next] + "'");
}

// ---- Variables and keys -----------------------------------------------------------------------------

void Arguments::take_variables() {
    // Most environments have none of ours, and there are a hundred names to ask for.
    const auto ours = [](const char* variable) { return std::strncmp(variable, "SINGULARITY_", 12) == 0 || std::strncmp(variable, "APPTAINER_", 10) == 0; };
    char** variable = environ;
    while (variable && *variable && !ours(*variable)) ++variable;
    if (!variable || !*variable) return;
    for (auto& a : all_) {
        if (a.variables_.empty() || (!a.values_.empty() && !a.append_)) continue;
        any_part(a.variables_, [&](std::string_view name) {
            for (const char* prefix : {"SINGULARITY_", "APPTAINER_"}) {
                const std::string full = prefix + std::string(name);
                const char* value = std::getenv(full.c_str());
                if (!value || !*value) continue;
                if (a.kind_ == Argument::Kind::list)
                    any_part(value, [&](std::string_view item) { return a.take(std::string(item), full), false; });
                else
                    a.take(value, full);
                // A flag that a variable switches off is one that nobody gave.
                if (a.kind_ == Argument::Kind::flag && a.values_.back() != "true") a.values_.clear();
                a.from_ = full;
                a.store();
                return true;
            }
            return false;
        });
    }
}

void Arguments::apply_variables() {
    take_variables();
    if (chosen_) chosen_->apply_variables();
}

void Arguments::apply_keys(Settings& settings) const {
    for (const auto& a : all_)
        if (!a.key_.empty() && !a.values_.empty())
            settings.set(std::string(a.key_), a.values_, a.from_.empty() ? Layer::command_line : Layer::environment,
                         a.from_.empty() ? a.shown_name() : a.from_);
    if (chosen_) chosen_->apply_keys(settings);
}

std::vector<std::string> Arguments::given_words() const {
    const Arguments& last = chosen();
    std::vector<std::string> out;
    for (const auto& a : last.all_)
        if (a.is_word_) out.insert(out.end(), a.values_.begin(), a.values_.end());
    out.insert(out.end(), last.rest_.begin(), last.rest_.end());
    return out;
}

std::vector<std::pair<const Argument*, std::string>> Arguments::in_order() const {
    std::vector<std::pair<const Argument*, std::string>> out;
    const auto shown = [&](const Argument* a) { return static_cast<size_t>(std::count_if(out.begin(), out.end(), [&](const auto& o) { return o.first == a; })); };
    for (const Arguments* level = this; level; level = level->chosen_)
        for (const Argument* a : level->order_)
            if (const size_t i = shown(a); i < a->values_.size()) out.emplace_back(a, a->values_[i]);
    for (const Arguments* level = this; level; level = level->chosen_)
        for (const auto& a : level->all_)
            for (size_t i = a.is_word_ ? a.values_.size() : shown(&a); i < a.values_.size(); ++i) out.emplace_back(&a, a.values_[i]);
    return out;
}

}  // namespace sg
