// plugin-test: loads one plugin alone and compares what it does with what the SDK's headers say. Started by
// `singularity plugin test`, which reads the manifest. Exit status: 0 all is right, 255 a check failed, 1 it was called
// wrongly.
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cstdio>
#include <exception>

#include "checks.hpp"
#include "report.hpp"

namespace {

// Starts the program anew, once: with an allocator whose count of bytes in use is exact (no memory that threads keep
// for later), and with the library of the sanitizer that the object was built with, which must come before all others.
void start_again(const conformance::ObjectFile& object, char** argv) {
    if (getenv("PLUGIN_TEST_AGAIN")) return;
    setenv("PLUGIN_TEST_AGAIN", "1", 1);
    setenv("GLIBC_TUNABLES", "glibc.malloc.tcache_count=0:glibc.malloc.arena_max=1", 1);
    if (const std::string library = object.sanitizer(); !library.empty()) {
        setenv("LD_PRELOAD", library.c_str(), 1);
        // Leaks are asked for by the checks; the kit itself keeps things until its end.
        setenv("ASAN_OPTIONS", "detect_leaks=1:leak_check_at_exit=0:exitcode=77:allocator_may_return_null=1", 1);
    }
    execv("/proc/self/exe", argv);
}

}  // namespace

int main(int argc, char** argv) {
    using namespace conformance;
    try {
        const Subject subject = Subject::of(argc, argv);
        const ObjectFile object = ObjectFile::read(subject.object);
        start_again(object, argv);
        const Scratch scratch;
        Run run{subject, object, scratch, {}};
        check_object(run);
        if (object.defect.empty() && check_entry(run))
            for (const auto& c : subject.capabilities) {
                if (c.kind == "bootstrap") {
                    check_bootstrap(run, c);
                    check_full_name(run, c);
                } else if (c.kind == "transport")
                    check_transport(run, c);
                else if (c.kind == "format")
                    check_format(run, c);
                else if (c.kind == "launcher")
                    check_launcher(run, c);
                else if (c.kind == "command")
                    check_command(run, c);
                else if (c.kind == "hook") {
                    check_hook(run, c);
                    check_signers(run, c);
                }
            }
        const std::string text = subject.json ? report_json(subject, run.outcomes) : report_text(subject, run.outcomes);
        if (fputs(text.c_str(), stdout) < 0 || fflush(stdout) != 0) return 255;
        for (const auto& o : run.outcomes)
            if (o.state == State::failed) return 255;
        return 0;
    } catch (const std::exception& e) {
        fprintf(stderr, "FATAL:   plugin test: %s\n", e.what());
        return 1;
    }
}
