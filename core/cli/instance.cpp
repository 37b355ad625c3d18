// singularity instance start|run|list|stop|stats
#include <memory>

#include "cli/container_action.hpp"
#include "cli/instance_start.hpp"
#include "cli/instance_verbs.hpp"
#include "cli/json_writer.hpp"
#include "cli/print.hpp"
#include "cli/tabs.hpp"
#include "cli/verbs.hpp"

namespace sg {

namespace {

struct ListOptions {
    std::string pattern, user;
    bool json = false, logs = false, all = false;
};

int list(const ListOptions& o, Session& session) {
    const bool json = o.json || session.json;
    if (json && o.logs) throw Error(Code::usage, "instance list: --json shows the logs already");
    auto found = instances_of(o.user).list(o.pattern, launchers_of(session));
    for (auto it = found.begin(); it != found.end();) it = instance_runs(session, *it) && it->pid > 0 ? it + 1 : found.erase(it);
    if (json) {
        JsonWriter w;
        w.begin_object();
        w.key("instances");
        w.begin_array();
        for (const auto& i : found) {
            w.begin_object();
            w.member("instance", i.name);
            w.key("pid"), w.integer(i.pid);
            w.member("img", i.image);
            w.member("ip", i.ip);
            w.member("logErrPath", i.log_err);
            w.member("logOutPath", i.log_out);
            w.end_object();
        }
        w.end_array();
        w.end_object();
        print(w.take());
        return 0;
    }
    std::vector<std::vector<std::string>> rows;
    if (o.logs)
        rows.push_back({"INSTANCE NAME", "PID", "LOGS"});
    else
        rows.push_back({"INSTANCE NAME", "PID", "IP", "IMAGE"});
    for (const auto& i : found) {
        const std::string pid = std::to_string(i.pid);
        if (!o.logs) {
            rows.push_back({i.name, pid, i.ip, i.image});
            continue;
        }
        rows.push_back({i.name, pid, i.log_err});
        rows.push_back({"", "", i.log_out});
    }
    print(in_columns(rows));
    return 0;
}

Action declare_start(Arguments& arguments, const char* verb) {
    auto start = std::make_shared<InstanceStart>();
    arguments.usage("IMAGE NAME [ARGUMENTS]");
    arguments.examples({std::string("singularity instance ") + (std::string_view(verb) == "run" ? "run" : "start") + " server.sif web", "singularity exec instance://web ps"});
    arguments.text("--pid-file", start->pid_file, "Write the number of the first process there").variable("PID_FILE");
    return declare_container_action(arguments, verb, start);
}

Action declare_list(Arguments& arguments) {
    auto o = std::make_shared<ListOptions>();
    arguments.word("NAME", o->pattern, "One instance, or a shell pattern in quotes as 'web*'").offers("INSTANCE");
    arguments.flag("-j,--json", o->json, "Print JSON");
    arguments.flag("-l,--logs", o->logs, "Print where the output goes");
    arguments.text("-u,--user", o->user, "Instances of another user (root only)").shown_as("USER");
    arguments.flag("-a,--all", o->all, "All instances").hidden();
    arguments.examples({"singularity instance list", "singularity instance list --json 'web*'"});
    return [o](Session& session) { return list(*o, session); };
}

Action declare_stop(Arguments& arguments) {
    auto o = std::make_shared<StopOptions>();
    arguments.word("NAME", o->name, "One instance, or a shell pattern in quotes as 'web*'").offers("INSTANCE");
    arguments.flag("-a,--all", o->all, "All instances of the user");
    arguments.flag("-F,--force", o->force, "End it at once (SIGKILL)");
    arguments.text("-s,--signal", o->signal, "Signal that asks it to end (SIGINT)").shown_as("SIGNAL").variable("STOP_SIGNAL");
    arguments.integer("-t,--timeout", o->timeout, "Seconds to wait before SIGKILL (10)").shown_as("SECONDS");
    arguments.text("-u,--user", o->user, "Instances of another user (root only)").shown_as("USER");
    arguments.examples({"singularity instance stop web", "singularity instance stop --all"});
    return [o](Session& session) {
        if (o->timeout < 0 || o->timeout > 86400) throw Error(Code::usage, "--timeout " + std::to_string(o->timeout) + ": not a number of seconds up to a day");
        return stop_instances(*o, session);
    };
}

Action declare_stats(Arguments& arguments) {
    auto o = std::make_shared<StatsOptions>();
    arguments.word("NAME", o->name, "The instance").offers("INSTANCE").required();
    arguments.flag("-j,--json", o->json, "Print JSON, once");
    arguments.flag("--no-stream", o->once, "Print once");
    arguments.text("-u,--user", o->user, "Instance of another user (root only)").shown_as("USER");
    arguments.examples({"singularity instance stats --no-stream web"});
    return [o](Session& session) { return show_instance_stats(*o, session); };
}

Action declare(Arguments& arguments) {
    struct Below {
        Arguments* arguments;
        Action action;
    };
    auto all = std::make_shared<std::vector<Below>>();
    const auto add = [&](const char* name, const char* summary, auto&& declare_one) {
        Arguments& below = arguments.command(name, summary);
        all->push_back({&below, declare_one(below)});
    };
    add("start", "Start a container that stays, with its start script", [](Arguments& a) { return declare_start(a, "start"); });
    add("run", "Start a container that stays, with its run script", [](Arguments& a) { return declare_start(a, "run"); });
    add("list", "List the instances that run", declare_list);
    add("stop", "Stop instances", declare_stop);
    add("stats", "Show what an instance takes of the machine", declare_stats);
    arguments.examples({"singularity instance start server.sif web", "singularity exec instance://web ps", "singularity instance stop web"});
    return [all, &arguments](Session& session) {
        for (const auto& below : *all)
            if (below.arguments == &arguments.chosen()) return below.action(session);
        throw Error(Code::internal, "no verb below instance was chosen");
    };
}

}  // namespace

extern const Verb instance_verb{"instance", "Run containers", "Start, list and stop containers that stay in the background", {}, false, declare};

}  // namespace sg
