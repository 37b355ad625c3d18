// What a verb takes on its command line, and the parsing of it.
//
//     arguments.word("IMAGE", o->image, "A SIF file, ...").required();
//     arguments.list("-B,--bind", o->binds, "SRC[:DEST[:ro|rw]]").variable("BIND").shown_as("SPEC");
//     arguments.flag("-F,--force", o->force, "Replace it");
//     arguments.examples({"singularity verb x"});
//
// Options may stand before, between and behind words: "--name value", "--name=value", "-n value", "-nvalue",
// clusters of short flags, and "--" before words that begin with '-'. An option that is given again replaces
// its value; lists add up. Declaring costs a start little: texts are views (literals, or texts of the index)
// and nothing is looked up before it is given.
//
// All failures are Error of Code::usage. Not for several threads.
#pragma once
#include <cstdint>
#include <deque>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sg {

class Settings;

// An option, or a word by its place.
class Argument {
public:
    enum class Kind { flag, text, integer, list };

    Argument& required() { return required_ = true, *this; }
    Argument& between(size_t least, size_t most) { return least_ = least, most_ = most, *this; }  // of words in a list
    Argument& one_of(std::initializer_list<std::string_view> words) { return choices_ = words, *this; }
    Argument& shown_as(std::string_view value) { return value_name_ = value, *this; }  // "SPEC" in "--bind SPEC"
    Argument& group(std::string_view name) { return group_ = name, *this; }
    // What completion offers for its value, where the name of the value does not say it: see complete.hpp.
    Argument& offers(std::string_view what) { return offers_ = what, *this; }
    // Works and is in no help: what Singularity took and nobody needs to be told of.
    Argument& hidden() { return hidden_ = true, *this; }
    // Also reads SINGULARITY_NAME and APPTAINER_NAME for each NAME of "BIND,BINDPATH", in that order, when it
    // is not on the command line; `append` adds the variable's value (split at commas) to what was given.
    // Flags take Go's words (1 t T TRUE true True, 0 f ...).
    Argument& variable(std::string_view names, bool append = false) { return variables_ = names, append_ = append, *this; }
    // Its value becomes the configuration value `key` (layer command line; locks apply).
    Argument& sets_key(std::string_view key) { return key_ = key, *this; }

    // Declared for the plugin of that name.
    Argument& added_by(std::string_view plugin) { return plugin_ = plugin, *this; }

    bool given() const { return !values_.empty() && (kind_ != Kind::flag || values_.back() == "true"); }  // a flag: and on
    const std::vector<std::string>& values() const { return values_; }
    Kind kind() const { return kind_; }
    bool is_word() const { return is_word_; }
    std::string_view help() const { return help_; }
    std::string_view group() const { return group_; }
    std::string_view plugin() const { return plugin_; }  // "" = the verb's own
    const std::string& from() const { return from_; }    // the variable that it came from; "" = the command line
    std::string_view long_name() const;   // the first, without dashes; "" = none
    std::string shown_name() const;       // "--bind", else "-B", else "IMAGE"
    std::string shown_names() const;      // "-B, --bind"
    std::string_view shown_value() const; // "SPEC"; "" of a flag
    std::string text() const;             // its help, with the variable and the key that do the same

private:
    friend class Arguments;
    Argument(Kind kind, std::string_view names, void* target, std::string_view help);
    bool has_name(std::string_view name) const;  // with dashes
    void take(std::string value, const std::string& how);
    void store() const;

    Kind kind_;
    bool is_word_, required_ = false, append_ = false, hidden_ = false;
    std::string_view names_, help_, group_ = "Options", value_name_, variables_, key_, plugin_, offers_;
    std::vector<std::string_view> choices_;
    size_t least_ = 0, most_ = SIZE_MAX;
    void* target_;  // bool, std::string, int64_t or std::vector<std::string>; may be null
    std::vector<std::string> values_;
    std::string from_;  // the variable that it came from
};

class Arguments {
public:
    // `name` is what the user types, as "build" or "key list".
    Arguments(std::string name, std::string summary);

    Argument& flag(std::string_view names, bool& to, std::string_view help) { return add(Argument::Kind::flag, names, &to, help); }
    Argument& text(std::string_view names, std::string& to, std::string_view help) { return add(Argument::Kind::text, names, &to, help); }
    Argument& integer(std::string_view names, int64_t& to, std::string_view help) { return add(Argument::Kind::integer, names, &to, help); }
    Argument& list(std::string_view names, std::vector<std::string>& to, std::string_view help) { return add(Argument::Kind::list, names, &to, help); }
    Argument& word(std::string_view name, std::string& to, std::string_view help) { return add(Argument::Kind::text, name, &to, help); }
    Argument& words(std::string_view name, std::vector<std::string>& to, std::string_view help) { return add(Argument::Kind::list, name, &to, help); }
    // Without a target: whoever declared it asks for its values.
    Argument& add(Argument::Kind kind, std::string_view names, void* target, std::string_view help);

    // A verb below this one ("list" of "cache"), which takes this one's options as well. With any, the first word
    // must be one of them.
    Arguments& command(std::string_view name, std::string_view summary);
    bool has_commands() const { return !commands_.empty(); }
    const std::vector<std::unique_ptr<Arguments>>& commands() const { return commands_; }
    // The chosen one, at the end of parse(); this when it has none.
    const Arguments& chosen() const;
    Arguments& chosen();

    // The first word and all behind it are for somebody else and stay as they are.
    void pass_rest() { pass_rest_ = true; }
    const std::vector<std::string>& rest() const { return rest_; }
    void examples(std::vector<std::string> lines) { examples_ = std::move(lines); }
    // What follows "singularity VERB [options]" in the usage line, where the words do not say it.
    void usage(std::string text) { usage_ = std::move(text); }
    // Keeps a made-up text as long as this lives.
    std::string_view keep(std::string text) { return kept_.emplace_back(std::move(text)); }

    // False: help was asked for (chosen() says of what); nothing was stored.
    bool parse(const std::vector<std::string>& arguments);
    // After that: variables of options that were not given, of this and the chosen ones below.
    void apply_variables();
    // And then configuration keys.
    void apply_keys(Settings& settings) const;

    bool has(std::string_view name) const { return find(name) != nullptr; }  // of this alone, with dashes
    const std::string& name() const { return name_; }
    std::string help() const;
    // Words of the chosen one in the order of their places, and what it has passed on.
    std::vector<std::string> given_words() const;
    // The same as a manual page (section 1, roff). `version` is the program's.
    std::string manual(std::string_view version) const;
    // One that another word may be completed to.
    struct Candidate {
        std::string word, help;
    };
    // Asked for what a value may be: `what` is the value's name, or what the argument `offers`; `word` what there is of
    // it. Adds candidates, also such as do not fit.
    using Offer = std::function<void(std::string_view what, const std::string& word, std::vector<Candidate>& to)>;
    // What the last of `words`, which may be empty, can go on to. The words before it need not be right.
    std::vector<Candidate> complete(const std::vector<std::string>& words, const Offer& offer) const;
    // Given options in the order of the command line, then those of variables; a list once for each value.
    std::vector<std::pair<const Argument*, std::string>> in_order() const;

private:
    const Argument* find(std::string_view name) const;
    std::string synopsis() const;  // behind the verb's name
    std::vector<std::string_view> groups() const;  // of options that are shown, the least interesting last
    std::string_view own_name() const { return std::string_view(name_).substr(name_.rfind(' ') + 1); }
    std::vector<std::string> places() const;  // names of its words
    void complete_value(const Argument& option, const std::string& word, const Offer& offer, std::vector<Candidate>& to) const;
    Argument* find_above(std::string_view name);  // here or in a verb above
    [[noreturn]] void refuse_option(const std::string& word) const;
    [[noreturn]] void refuse(const std::string& what, const std::string& hint = {}) const;
    size_t read_option(const std::vector<std::string>& arguments, size_t at);
    size_t read_short(const std::vector<std::string>& arguments, size_t at);
    void place_words(std::vector<std::string> words);
    void take_variables();

    std::string name_, summary_, usage_;
    std::vector<std::string> examples_, rest_;
    std::deque<Argument> all_;
    std::deque<std::string> kept_;
    std::vector<std::unique_ptr<Arguments>> commands_;
    Arguments* above_ = nullptr;
    Arguments* chosen_ = nullptr;
    bool pass_rest_ = false, help_ = false;
    std::vector<const Argument*> order_;  // one for each time that an option was given
};

}  // namespace sg
