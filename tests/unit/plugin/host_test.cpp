#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>

#include "base/unique_fd.hpp"
#include "plugin/crash_guard.hpp"
#include "world.hpp"

using namespace sg;

namespace {

struct Ended {
    std::string stderr_text;
    int status = 0;
};

// Runs `f` in a child: what it printed and how it ended.
template <class F>
Ended in_child(F&& f) {
    int ends[2];
    BOOST_REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
    const pid_t pid = fork();
    if (pid == 0) {
        for (const int s : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) signal(s, SIG_DFL);  // not Boost's
        dup2(ends[1], STDERR_FILENO);
        try {
            f();
        } catch (...) {
        }
        _exit(0);
    }
    close(ends[1]);
    const UniqueFd reading(ends[0]);
    Ended out;
    char buffer[4096];
    for (ssize_t n; (n = read(reading.get(), buffer, sizeof buffer)) > 0;) out.stderr_text.append(buffer, static_cast<size_t>(n));
    waitpid(pid, &out.status, 0);
    return out;
}

int open_source(PluginHost& host, const char* reference) {
    const sg_source_spec spec{"good", reference, "/", "amd64", "", 0, nullptr};
    sg_image* image = nullptr;
    sg_error err{};
    return host.bootstrap("good").open(&spec, nullptr, &image, &err);
}

}  // namespace

BOOST_FIXTURE_TEST_CASE(a_plugin_serves_all_it_declares, World) {
    add_good();
    BOOST_TEST(open_source(host(), "nothing") == SG_ENOTFOUND);
    BOOST_TEST((host().launcher("jump").become != nullptr));
    BOOST_TEST((&host().launcher("") == &host().launcher("jump")));
    BOOST_TEST((host().command("hello sub").run != nullptr));
    BOOST_TEST((host().publish("good") == nullptr));
    BOOST_TEST(host().default_format().name == "flat");
    BOOST_TEST((host().format("flat").parts == nullptr));
    host().verify("good");
}

BOOST_FIXTURE_TEST_CASE(a_transport_reaches_the_one_that_it_stands_in_front_of, World) {
    add("good", "good", "  - transport: {scheme: way}\n");
    add("front", "front", "  - transport: {scheme: [way, lonely]}\n");
    host();
    const auto& finder = *static_cast<const sg_host_transport_v2*>(host().c()->table(host().c(), "transport", 2));
    // What `find` or `find_below` gives says when it is asked to send something.
    const auto sends = [&](const char* scheme, const char* below) {
        return failure([&] {
            const void* found = nullptr;
            singularity::check([&](sg_error* e) {
                return below ? finder.find_below(scheme, below, "transport", 1, &found, e) : finder.find(scheme, "transport", 1, &found, e);
            });
            singularity::check([&](sg_error* e) { return static_cast<const sg_transport_v1*>(found)->send(nullptr, nullptr, nullptr, e); });
        });
    };
    BOOST_TEST(holds(sends("way", nullptr), "front sends nothing"));
    BOOST_TEST(holds(sends("way", "front"), "good sends nothing"));
    BOOST_TEST(holds(sends("lonely", nullptr), "front sends nothing"));
    BOOST_TEST(holds(sends("lonely", "front"), "plugin front hides no other transport for 'lonely'"));
    BOOST_TEST(holds(sends("way", "good"), "plugin good hides no other transport for 'way'"));
    BOOST_TEST(holds(sends("way", "nobody"), "plugin nobody is not registered as the transport for 'way'"));
    BOOST_TEST(holds(sends("nowhere", nullptr), "unknown transport for 'nowhere'"));
    BOOST_TEST(holds(failure([&] { host().transport_table("way", "", "upgrade", 1); }), "has no table 'upgrade' in version 1"));
}

BOOST_FIXTURE_TEST_CASE(an_image_is_opened_by_the_format_that_knows_it, World) {
    add_good();
    const std::string file = write("image.flat", "GOOD and more");
    OpenedImage image = host().open_image(file);
    BOOST_TEST(image.format().name == "flat");
    BOOST_TEST(image.path() == file);
    BOOST_TEST(std::string(image.info().format) == "flat");
    BOOST_TEST(std::string(image.mount_plan().path) == file);
    BOOST_CHECK_THROW(image.root(), Error);
    OpenedImage moved = std::move(image);
    BOOST_TEST(moved.file() != nullptr);
    BOOST_TEST(image.file() == nullptr);
    BOOST_TEST(holds(failure([&] { host().open_image(write("refused.flat", "GOOD")); }), "it is damaged"));
    BOOST_TEST(holds(failure([&] { host().open_image(write("other", "BAD!")); }), "no image that any registered format knows | Formats: flat."));
    BOOST_TEST(holds(failure([&] { host().open_image(write("empty", "")); }), "is empty"));
    BOOST_TEST(holds(failure([&] { host().open_image(at("none")); }), "cannot open " + at("none") + ": No such file"));
    BOOST_TEST(!holds(failure([&] { host().open_image(at("none")); }), "SCHEME"));
    BOOST_TEST(holds(failure([&] { host().open_image("bare-name-that-is-no-file"); }), "SCHEME://bare-name-that-is-no-file"));
    BOOST_TEST(holds(failure([&] { host().open_image("/dev/null"); }), "neither a file nor a directory"));
    BOOST_TEST(holds(failure([&] { host().open_image(path()); }), "no image"));
}

BOOST_FIXTURE_TEST_CASE(an_unknown_name_gets_the_nearest_one, World) {
    add_good();
    BOOST_TEST(failure([&] { host().bootstrap("godo"); }) == "unknown scheme 'godo' | Did you mean 'good'? Registered: good.");
    BOOST_TEST(holds(failure([&] { host().format("flta"); }), "unknown format 'flta' | Did you mean 'flat'?"));
    BOOST_TEST(holds(failure([&] { host().transport("https"); }), "unknown transport for 'https'"));
    BOOST_TEST(holds(failure([&] { host().verify("goof"); }), "no plugin 'goof' is registered | Did you mean 'good'?"));
}

BOOST_FIXTURE_TEST_CASE(objects_that_are_no_plugin_are_refused_by_name_manifest_and_line, World) {
    const std::pair<const char*, const char*> kinds[] = {
        {"wrong_magic", "wrong magic"},
        {"newer_abi", "was built for plugin ABI 99; this program has 1"},
        {"no_entry", "has no symbol singularity_plugin"},
        {"other_name", "calls itself 'somebody'"},
        {"no_table", "has no table 'bootstrap' for 'x'"},
        {"newer_table", "has table 'bootstrap' only in version 2; this program knows version 1"},
        {"fail_start", "cannot start: the licence has run out"},
    };
    for (const auto& [object, why] : kinds) {
        World w;
        w.add("bad", object, "  - bootstrap: {scheme: x}\n");
        const std::string told = failure([&] { w.host().bootstrap("x"); });
        BOOST_TEST_MESSAGE(told);
        BOOST_TEST(holds(told, why), object);
        BOOST_TEST(holds(told, "plugin bad (" + w.manifests.at(0) + ":"), object);
        BOOST_TEST(holds(failure([&] { w.host().verify("bad"); }), why), object);
    }
    // The line of a table is the capability's.
    World w;
    w.add("bad", "no_table", "  - transport: {scheme: y}\n  - bootstrap: {scheme: x}\n");
    BOOST_TEST(holds(failure([&] { w.host().bootstrap("x"); }), w.manifests.at(0) + ":7"));
}

BOOST_FIXTURE_TEST_CASE(objects_that_are_missing_damaged_or_open_to_others_are_refused, World) {
    add("bad", "no_table", "  - bootstrap: {scheme: x}\n");
    const std::string object = at("bad-no_table/no_table.so");
    chmod(object.c_str(), 0666);
    BOOST_TEST(holds(failure([&] { host().bootstrap("x"); }), "other users may write to it"));
    chmod(object.c_str(), 0644);
    std::filesystem::resize_file(object, 60);  // less than its first header
    BOOST_TEST(holds(failure([&] { host().bootstrap("x"); }), "cannot be loaded"));
    write("bad-no_table/no_table.so", "not an object");
    BOOST_TEST(holds(failure([&] { host().bootstrap("x"); }), "cannot be loaded"));
    std::filesystem::remove(object);
    BOOST_TEST(holds(failure([&] { host().bootstrap("x"); }), object + " cannot be used: No such file or directory"));
}

BOOST_FIXTURE_TEST_CASE(one_that_cannot_be_used_does_not_stop_the_others, World) {
    add("bad", "no_table", "  - format: {name: broken}\n  - hook: {name: h, events: [before_run]}\n");
    add_good();
    BOOST_TEST(host().open_image(write("image", "GOOD")).format().name == "flat");
    const sg_event event{"before_run", "fine", "", "", nullptr, 0};
    host().notify(event);  // a warning
}

BOOST_FIXTURE_TEST_CASE(a_hook_may_forbid_and_its_other_failures_are_warnings, World) {
    add_good();
    const auto tell = [&](const char* name, const char* reference) {
        const sg_event event{name, reference, "", "", nullptr, 0};
        return failure([&] { host().notify(event); });
    };
    BOOST_TEST(holds(tell("before_run", "forbidden"), "not that one"));
    BOOST_TEST(tell("before_run", "broken") == "none");
    BOOST_TEST(tell("built", "forbidden") == "none");  // it does not listen to that
    BOOST_TEST(host().listens("before_run"));
    BOOST_TEST(!host().listens("built"));
}

#if !defined(__SANITIZE_ADDRESS__)
BOOST_FIXTURE_TEST_CASE(a_crash_in_a_plugin_ends_with_one_line_that_names_it, World) {
    add_good();
    PluginHost& h = host();
    for (const char* how : {"segv", "abort", "libc", "jump"}) {
        const Ended e = in_child([&] { open_source(h, how); });
        BOOST_TEST(WIFEXITED(e.status));
        BOOST_TEST(WEXITSTATUS(e.status) == 255);
        BOOST_TEST(e.stderr_text.starts_with("FATAL:   plugin good crashed: "), how);
        BOOST_TEST(e.stderr_text.ends_with(" in " + at("good-good/good.so") + "\n"), e.stderr_text);
    }
    for (const char* object : {"crash_start", "crash_entry"}) {
        World w;
        w.add("bad", object, "  - bootstrap: {scheme: x}\n");
        PluginHost& bad = w.host();
        const Ended e = in_child([&] { bad.bootstrap("x"); });
        BOOST_TEST(WEXITSTATUS(e.status) == 255);
        BOOST_TEST(holds(e.stderr_text, "plugin bad crashed"), object);
    }
}

BOOST_AUTO_TEST_CASE(a_crash_elsewhere_is_nobody_elses) {
    const Ended e = in_child([] {
        install_crash_guard();
        abort();
    });
    BOOST_TEST(WIFSIGNALED(e.status));
    BOOST_TEST(WTERMSIG(e.status) == SIGABRT);
    BOOST_TEST(e.stderr_text == "");
}
#endif
