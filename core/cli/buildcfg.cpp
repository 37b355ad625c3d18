// singularity buildcfg: where things lie, as KEY=value lines with the keys of Apptainer's command, which scripts read.

#include "cli/print.hpp"
#include "cli/verbs.hpp"

#ifndef SG_VERSION
#define SG_VERSION "4.0.0"
#endif

namespace sg {

static int run(Session& session) {
    const Installation& i = session.installation;
    const std::string bin = i.executable.substr(0, i.executable.rfind('/'));
    const std::string libexec = i.module.substr(0, i.module.rfind('/'));
    std::string out;
    const auto line = [&](const char* key, const std::string& value) { out += std::string(key) + "=" + value + "\n"; };
    line("PACKAGE_NAME", "singularity");
    line("PACKAGE_VERSION", SG_VERSION);
    line("PREFIX", i.prefix);
    line("EXECPREFIX", i.prefix);
    line("BINDIR", bin);
    line("SYSCONFDIR", i.conf_dir.substr(0, i.conf_dir.rfind('/')));
    line("LIBEXECDIR", libexec);
    line("PLUGIN_ROOTDIR", i.plugin_dir);
    line("SINGULARITY_CONFDIR", i.conf_dir);
    line("SINGULARITY_CONF_FILE", i.conf_dir + "/singularity.yaml");
    line("SINGULARITY_SUID_INSTALL", "0");
    print(out);
    return 0;
}

static Action declare(Arguments& arguments) {
    arguments.examples({"singularity buildcfg"});
    return [](Session& session) { return run(session); };
}

extern const Verb buildcfg_verb{"buildcfg", "About this installation", "Print where this installation keeps its files", {}, false, declare};

}  // namespace sg
