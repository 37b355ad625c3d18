// singularity completion bash|zsh|fish, and the answers that the scripts ask for (complete.hpp)
#include <memory>

#include "base/log.hpp"
#include "cli/complete.hpp"
#include "cli/overview.hpp"
#include "cli/print.hpp"
#include "cli/table.hpp"
#include "cli/verbs.hpp"

namespace sg {

namespace {

// readline divides at ':' and '=', the program does not: the words are put together again from the line, and what
// stands before the last divider is taken off the answers.
constexpr char bash_script[] = R"script(# bash completion for singularity
_singularity() {
    local line=${COMP_LINE:0:COMP_POINT} words current before way= answer candidate IFS=$' \t\n'
    read -r -a words <<<"$line"
    [[ $line == *[[:space:]] ]] && words+=('')
    current=${words[${#words[@]}-1]}
    # What readline takes for the word under the cursor is only this much of the end.
    before=${current%"${COMP_WORDS[COMP_CWORD]}"}
    case ${COMP_WORDS[COMP_CWORD]} in
    : | =) before=$current ;;
    esac
    [[ $COMP_WORDBREAKS == *[:=]* ]] || before=
    COMPREPLY=()
    while IFS= read -r answer; do
        candidate=${answer%%$'\t'*}
        case $answer in
        :files) way=f ;;
        :directories) way=d ;;
        *) if [[ $candidate == "$before"* ]]; then COMPREPLY+=("${candidate#"$before"}"); else COMPREPLY+=("$candidate"); fi ;;
        esac
    done < <("${words[0]}" __complete "${words[@]:1}" 2>/dev/null)
    if [ -n "$way" ]; then
        compopt -o filenames 2>/dev/null
        while IFS= read -r candidate; do
            COMPREPLY+=("$candidate")
        done < <(compgen -"$way" -- "${current#"$before"}")
    fi
    case ${#COMPREPLY[@]},${COMPREPLY[0]} in
    1,*:// | 1,*=) compopt -o nospace 2>/dev/null ;;
    esac
    # A scheme is no directory's name, which readline would give a slash.
    case ${COMPREPLY[*]} in *://*) compopt +o filenames 2>/dev/null ;; esac
}
complete -F _singularity singularity
)script";

constexpr char zsh_script[] = R"script(#compdef singularity
# zsh completion for singularity
_singularity() {
    local answer word way
    local -a plain open texts_plain texts_open
    for answer in ${(f)"$(${words[1]} __complete ${(Q)words[2,CURRENT-1]} "${(Q)words[CURRENT]}" 2>/dev/null)"}; do
        word=${answer%%$'\t'*}
        case $answer in
        :files) way=files ;;
        :directories) way=directories ;;
        *:// | *://$'\t'* | *=$'\t'*) open+=("$word"); texts_open+=("$word -- ${answer#*$'\t'}") ;;
        *) plain+=("$word"); texts_plain+=("$word -- ${answer#*$'\t'}") ;;
        esac
    done
    (( ${#plain} )) && compadd -U -l -d texts_plain -a plain
    (( ${#open} )) && compadd -U -S '' -l -d texts_open -a open
    case $way in
    files) _files ;;
    directories) _files -/ ;;
    esac
}
if [ "$funcstack[1]" = _singularity ]; then
    _singularity "$@"
else
    compdef _singularity singularity
fi
)script";

constexpr char fish_script[] = R"script(# fish completion for singularity
function __singularity_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    for answer in ($words[1] __complete $words[2..-1] "$current" 2>/dev/null)
        switch $answer
            case :files
                __fish_complete_path "$current"
            case :directories
                __fish_complete_directories "$current"
            case '*'
                echo $answer
        end
    end
end
complete -c singularity -f -a '(__singularity_complete)'
)script";

Action declare(Arguments& arguments) {
    auto shell = std::make_shared<std::string>();
    arguments.word("SHELL", *shell, "bash, zsh or fish").required().one_of({"bash", "zsh", "fish"});
    arguments.examples({"source <(singularity completion bash)", "singularity completion zsh > ~/.zfunc/_singularity",
                        "singularity completion fish > ~/.config/fish/completions/singularity.fish"});
    return [shell](Session&) {
        print(*shell == "bash" ? bash_script : *shell == "zsh" ? zsh_script : fish_script);
        return 0;
    };
}

}  // namespace

int complete_command_line(std::vector<std::string> words, Context& context) {
    log::set_threshold(log::Level::error);
    if (words.empty()) words.emplace_back();
    size_t at = 0;
    for (; at + 1 < words.size() && words[at].starts_with('-'); ++at)
        if (words[at] == "--set") ++at;
    const std::string current = words.back();
    // Any verb has --set.
    if (words.size() > 1 && at >= words.size() - 1 && words[words.size() - 2] == "--set")
        return run_named("version", {"--set", current, std::string(complete_request)}, context);
    if (at + 1 >= words.size()) {
        std::vector<Arguments::Candidate> all;
        if (current.starts_with('-')) {
            for (const char* o :
                 {"--quiet", "--silent", "--verbose", "--debug", "--nocolor", "--json", "--set", "--version", "--help"})
                all.push_back({o, ""});
        } else {
            for (const auto& row : verb_table()) all.push_back({std::string(row.name), std::string(row.summary)});
            for (const auto& c : shown_commands(context.index))
                all.push_back({std::string(c.name), std::string(c.summary)});
        }
        print_candidates(std::move(all), current);
        return 0;
    }
    const std::string verb = words[at];
    if (!find_verb(verb) && !find_command(context.index, verb)) return 0;
    std::vector<std::string> rest(words.begin() + static_cast<ptrdiff_t>(at) + 1, words.end());
    rest.emplace_back(complete_request);
    try {
        return run_named(verb, std::move(rest), context);
    } catch (const Error& e) {
        log::debug(e.message());  // a key that completes nothing must not print
        return 0;
    }
}

extern const Verb completion_verb{
    "completion", "About this installation", "Print a shell's completion script", {}, false, declare};

}  // namespace sg
