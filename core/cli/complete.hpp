// Completion of command lines in shells. A shell's script (completion.cpp prints it) asks at each key:
//
//     singularity __complete WORD... CURRENT      the words behind the program's name; CURRENT may be empty
//
// and gets a line `WORD<TAB>HELP` for each candidate, then perhaps ":files" or ":directories": names of those fit as
// well. Asking the verb itself, and not a list that was made beforehand, makes plugins' verbs, options and schemes,
// cached images and instances known at once.
//
// What a value may be follows from its name in the help (IMAGE, SOURCE, URI, DIR) or from what the argument `offers`
// (INSTANCE, CACHED, KEY, PLUGIN, VERB); all else are files.
#pragma once
#include <string>
#include <vector>

#include "cli/dispatch.hpp"

namespace sg {

// How a verb is asked about itself: the last word of its arguments is one of these. No user types such a character.
constexpr std::string_view complete_request =
    "\x1f"
    "complete";
constexpr std::string_view manual_request =
    "\x1f"
    "manual";  // its page goes to standard output
constexpr std::string_view manuals_request =
    "\x1f"
    "manuals=";  // DIRECTORY follows: its page and those of the verbs below it

// Answers when `words` end in a request; false when they do not.
bool answered(const Arguments& arguments, const std::vector<std::string>& words, const Context& context);

// Writes `text` to DIRECTORY/NAME.1.
void write_page(const std::string& directory, const std::string& name, const std::string& text);

// What fits, as the protocol says it; `words` as behind `__complete`.
void print_candidates(std::vector<Arguments::Candidate> all, const std::string& current);
int complete_command_line(std::vector<std::string> words, Context& context);

}  // namespace sg
