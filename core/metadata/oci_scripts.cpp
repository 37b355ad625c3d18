#include "metadata/oci_scripts.hpp"

namespace sg {

namespace {

// Text that a double-quoted shell word stands for unchanged.
std::string escaped(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (c == '\\' || c == '"' || c == '`' || c == '$') out += '\\';
        out += c;
    }
    return out;
}

// The inside of a single-quoted word.
std::string single_quoted(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (c == '\'')
            out += "'\"'\"'";
        else
            out += c;
    }
    return out;
}

// `"a" "b"` for the evaluating form, to stand in single quotes.
std::string words(const std::vector<std::string>& list) {
    std::string out;
    for (const std::string& word : list) {
        if (!out.empty()) out += ' ';
        out += '"' + escaped(word) + '"';
    }
    return single_quoted(out);
}

// Puts the words before the arguments, unevaluated.
void prepend(std::string& script, const std::vector<std::string>& list, std::string_view indent) {
    for (auto word = list.rbegin(); word != list.rend(); ++word)
        script.append(indent).append("set -- '").append(single_quoted(*word)).append("' \"$@\"\n");
}

bool is_name(std::string_view name) {
    if (name.empty() || (name[0] >= '0' && name[0] <= '9')) return false;
    for (const char c : name)
        if (!(c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))) return false;
    return true;
}

constexpr std::string_view fall_back_to_a_shell =
    "# The image names no program: without arguments a shell is run.\n"
    "if [ $# -eq 0 ]; then\n"
    "    if command -v bash >/dev/null 2>&1; then\n"
    "        exec bash\n"
    "    fi\n"
    "    exec /bin/sh\n"
    "fi\n"
    "\n";

constexpr std::string_view evaluating_form =
    "# Arguments are words of a command line here, so the shell evaluates what is in them.\n"
    "CMDLINE_ARGS=\"\"\n"
    "for arg in \"$@\"; do\n"
    "    CMDLINE_ARGS=\"${CMDLINE_ARGS} \\\"$arg\\\"\"\n"
    "done\n"
    "\n"
    "# ENTRYPOINT only: arguments are appended.\n"
    "if [ -n \"$OCI_ENTRYPOINT\" ] && [ -z \"$OCI_CMD\" ]; then\n"
    "    SINGULARITY_OCI_RUN=\"${OCI_ENTRYPOINT} ${CMDLINE_ARGS}\"\n"
    "fi\n"
    "\n"
    "# CMD only: arguments replace it.\n"
    "if [ -z \"$OCI_ENTRYPOINT\" ] && [ -n \"$OCI_CMD\" ]; then\n"
    "    if [ $# -gt 0 ]; then\n"
    "        SINGULARITY_OCI_RUN=\"${CMDLINE_ARGS}\"\n"
    "    else\n"
    "        SINGULARITY_OCI_RUN=\"${OCI_CMD}\"\n"
    "    fi\n"
    "fi\n"
    "\n"
    "# Both: arguments replace CMD. With an empty half this says the same as above.\n"
    "if [ $# -gt 0 ]; then\n"
    "    SINGULARITY_OCI_RUN=\"${OCI_ENTRYPOINT} ${CMDLINE_ARGS}\"\n"
    "else\n"
    "    SINGULARITY_OCI_RUN=\"${OCI_ENTRYPOINT} ${OCI_CMD}\"\n"
    "fi\n"
    "\n"
    "eval \"set ${SINGULARITY_OCI_RUN}\"\n"
    "exec \"$@\"\n";

}  // namespace

std::string oci_runscript(const ImageConfig& config) {
    std::string out = "#!/bin/sh\n";
    out += "OCI_ENTRYPOINT='" + words(config.entrypoint) + "'\n";
    out += "OCI_CMD='" + words(config.cmd) + "'\n\n";
    if (config.entrypoint.empty() && config.cmd.empty()) out += fall_back_to_a_shell;

    out += "# Nothing is evaluated by the shell when the user asks for that.\n";
    out += "if [ -n \"${SINGULARITY_NO_EVAL:-}\" ]; then\n";
    if (!config.cmd.empty()) {
        out += "    if [ $# -eq 0 ]; then\n";
        prepend(out, config.cmd, "        ");
        out += "    fi\n";
    }
    prepend(out, config.entrypoint, "    ");
    out += "    exec \"$@\"\n";
    out += "fi\n\n";
    return out.append(evaluating_form);
}

std::string oci_environment(const ImageConfig& config, std::vector<std::string>* skipped) {
    std::string out = "#!/bin/sh\n";
    for (const std::string& element : config.env) {
        const auto equals = element.find('=');
        const std::string name = element.substr(0, equals);
        if (!is_name(name)) {
            if (skipped) skipped->push_back(name);
            continue;
        }
        if (equals == std::string::npos) {
            out += "export " + name + "=\"${" + name + ":-}\"\n";
            continue;
        }
        const std::string value = escaped(std::string_view(element).substr(equals + 1));
        if (name == "PATH")
            out += "export PATH=\"" + value + "\"\n";
        else
            out += "export " + name + "=\"${" + name + ":-\"" + value + "\"}\"\n";
    }
    return out;
}

}  // namespace sg
