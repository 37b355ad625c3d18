// Containers that really run: a directory with a static busybox. Needs root and user namespaces.
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <singularity/host.h>
#include <singularity/launcher.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace fs = std::filesystem;

BOOST_AUTO_TEST_SUITE(launch)

namespace {

const char* busybox() {
    for (const char* path : {"/bin/busybox", "/usr/bin/busybox"})
        if (access(path, X_OK) == 0) return path;
    return nullptr;
}

bool possible() {
    if (geteuid() != 0) {
        BOOST_TEST_MESSAGE("skipped: starting containers here needs root");
        return false;
    }
    if (!busybox()) {
        BOOST_TEST_MESSAGE("skipped: no busybox (apt-get install busybox-static)");
        return false;
    }
    return true;
}

const void* host_table(const sg_host*, const char* name, uint32_t) {
    static const sg_host_log_v1 log = {[](int32_t level) -> int32_t { return level <= SG_INFO; },
                                       [](int32_t level, const char* text) {
                                           if (level <= SG_INFO) dprintf(2, "%s%s\n", level == SG_WARNING ? "WARNING: " : "", text);
                                       }};
    return std::strcmp(name, "log") == 0 ? &log : nullptr;
}

struct Result {
    int status = -1;  // wait(2)
    std::string out, err;
    int code() const { return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status); }
};

std::string read_all(int fd) {
    std::string out;
    char buffer[4096];
    ssize_t n = 0;
    while ((n = read(fd, buffer, sizeof buffer)) > 0) out.append(buffer, static_cast<size_t>(n));
    return out;
}

struct Box {
    std::string root, session;
    std::string process = R"("env":["HOME=/root","PATH=/bin","FOO=host"],"cwd":"/")";
    std::string namespaces = R"({"type":"mount"})";
    std::string mappings;
    std::string mounts = R"({"destination":"/proc","type":"bind","source":"/proc","options":["rbind","nosuid","nodev"]})";
    std::string read_only = "true", layer = "auto", container_extra, hostname, more_images;

    Box() {
        char name[] = "/tmp/sg-launch-XXXXXX";
        root = mkdtemp(name);
        session = root + ".session";
        fs::create_directory(session);
        chmod(root.c_str(), 0755);
        for (const char* d : {"bin", "etc", "dev", "proc", "sys", "tmp", "root", ".singularity.d/env"}) fs::create_directories(root + "/" + d);
        if (!busybox()) return;
        fs::copy_file(busybox(), root + "/bin/busybox");
        for (const char* a : {"sh", "ls", "cat", "env", "id", "kill", "sleep", "true", "pwd", "touch", "ps", "hostname", "readlink"})
            fs::create_symlink("busybox", root + "/bin/" + a);
        std::ofstream(root + "/etc/passwd") << "root:x:0:0:root:/:/bin/sh\n";
        std::ofstream(root + "/etc/group") << "root:x:0:\n";
    }
    ~Box() {
        fs::remove_all(root);
        fs::remove_all(session);
    }

    void as_user() {
        namespaces += R"(,{"type":"user"})";
        mappings = R"(,"uidMappings":[{"containerID":4242,"hostID":4242,"size":1}],"gidMappings":[{"containerID":4242,"hostID":4242,"size":1}])";
        process += R"(,"noNewPrivileges":true,"capabilities":{"bounding":[]})";
        user = true;
    }

    std::string spec(const std::vector<std::string>& words, const std::string& action = "exec") const {
        std::string args;
        for (const auto& w : words) {
            args += args.empty() ? "\"" : ",\"";
            for (const char c : w) {
                if (c == '"' || c == '\\') args += '\\';
                args += c;
            }
            args += "\"";
        }
        return R"({"launchSpecVersion":"1.0","process":{)" + process + R"(},"root":{"path":"rootfs","readonly":)" + read_only + "}," +
               (hostname.empty() ? "" : R"("hostname":")" + hostname + "\",") + R"("mounts":[)" + mounts + R"(],"linux":{"namespaces":[)" + namespaces + "]" +
               mappings + R"(},"images":[{"role":"root","type":"bind","path":")" + root + R"(","writable":true})" + more_images + R"(],"container":{"action":{"name":")" + action +
               R"(","args":[)" + args + R"(]},"session":{"directories":[")" + session + R"("],"bytes":67108864},"layer":")" + layer + "\"" + container_extra + "}}";
    }

    // The process that a test starts in place of the program: it becomes the container.
    [[noreturn]] void launch(const std::string& json) const {
        if (user && (setgroups(0, nullptr) != 0 || setresgid(4242, 4242, 4242) != 0 || setresuid(4242, 4242, 4242) != 0)) _exit(99);
        prctl(PR_SET_DUMPABLE, 1);  // as after an exec by that user: /proc/self is its own
        static const sg_host host = {SG_ABI_VERSION, "4.0.0", host_table};
        const sg_plugin* plugin = singularity_plugin();
        plugin->start(&host, nullptr);
        const auto* launcher = static_cast<const sg_launcher_v1*>(plugin->table("native", "launcher", 1));
        const sg_launch_image image = {nullptr, nullptr};
        const sg_launch what = {json.c_str(), &image, 1, nullptr};
        sg_error err;
        std::memset(&err, 0, sizeof err);
        launcher->become(&what, &err);
        dprintf(2, "FATAL:   %s\n", err.message);
        _exit(255);
    }

    pid_t start(const std::string& json, int out, int err) const {
        const pid_t child = fork();
        if (child == 0) {
            if (out >= 0) dup2(out, 1);
            if (err >= 0) dup2(err, 2);
            launch(json);
        }
        return child;
    }

    Result run(const std::vector<std::string>& words, const std::string& action = "exec") const {
        int out[2], err[2];
        BOOST_REQUIRE(pipe2(out, O_CLOEXEC) == 0 && pipe2(err, O_CLOEXEC) == 0);
        const pid_t child = start(spec(words, action), out[1], err[1]);
        close(out[1]);
        close(err[1]);
        Result r;
        r.out = read_all(out[0]);
        r.err = read_all(err[0]);
        close(out[0]);
        close(err[0]);
        waitpid(child, &r.status, 0);
        return r;
    }

    bool user = false;
};

}  // namespace

BOOST_AUTO_TEST_CASE(a_command_runs_in_the_directory_and_its_status_is_passed_on) {
    if (!possible()) return;
    const Box box;
    auto r = box.run({"/bin/sh", "-c", "echo in; ls / ; exit 37"});
    BOOST_TEST(r.code() == 37);
    BOOST_TEST(r.out.find("in\n") == 0u);
    BOOST_TEST(r.out.find("home") == std::string::npos);
    BOOST_TEST(r.err == "");
    r = box.run({"sh", "-c", "touch /x"});
    BOOST_TEST(r.err.find("Read-only file system") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_signal_ends_the_process_itself) {
    if (!possible()) return;
    const Box box;
    BOOST_TEST(box.run({"sh", "-c", "kill -TERM $$"}).code() == -SIGTERM);
}

BOOST_AUTO_TEST_CASE(what_cannot_be_executed_is_said_in_the_words_that_callers_look_for) {
    if (!possible()) return;
    const Box box;
    auto r = box.run({"nothing"});
    BOOST_TEST(r.code() == 255);
    BOOST_TEST(r.err == "FATAL:   \"nothing\": executable file not found in $PATH\n");
    r = box.run({"/bin/nothing"});
    BOOST_TEST(r.err.find("no such file") != std::string::npos);
    std::ofstream(box.root + "/bin/bad") << "#!/no/such/interpreter\n";
    std::ofstream(box.root + "/bin/script") << "echo by the shell \"$@\"\n";
    std::ofstream(box.root + "/bin/plain") << "x";
    std::ofstream(box.root + "/bin/arm", std::ios::binary) << std::string("\x7f" "ELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\xb7\0", 20) << std::string(100, '\0');
    for (const char* f : {"bad", "script", "arm"}) chmod((box.root + "/bin/" + f).c_str(), 0755);
    chmod((box.root + "/bin/plain").c_str(), 0644);
    r = box.run({"bad"});
    BOOST_TEST(r.code() == 255);
    BOOST_TEST(r.err.find("a shared library is likely missing in the image") != std::string::npos);
    r = box.run({"script", "a", "b"});
    BOOST_TEST(r.out == "by the shell a b\n");
    r = box.run({"plain"});
    BOOST_TEST(r.err.find("permission denied") != std::string::npos);
#if defined(__x86_64__)
    r = box.run({"arm"});
    BOOST_TEST(r.err.find("the image's architecture (arm64) could not run on the host's (amd64)") != std::string::npos);
#endif
}

BOOST_AUTO_TEST_CASE(a_user_namespace_maps_one_to_one_and_has_no_rights) {
    if (!possible()) return;
    Box box;
    box.as_user();
    const auto r = box.run({"sh", "-c", "id -u; id -g; cat /proc/self/uid_map; grep -E '^(Cap|NoNew)' /proc/self/status || cat /proc/self/status"});
    BOOST_TEST_CONTEXT(r.err) {
        std::istringstream in(r.out);
        std::string uid, gid, a, b, c;
        in >> uid >> gid >> a >> b >> c;
        BOOST_TEST(uid == "4242");
        BOOST_TEST(gid == "4242");
        BOOST_TEST(a == "4242");
        BOOST_TEST(b == "4242");
        BOOST_TEST(c == "1");
        for (const char* set : {"CapInh:\t", "CapPrm:\t", "CapEff:\t", "CapBnd:\t", "CapAmb:\t"}) BOOST_TEST(r.out.find(std::string(set) + "0000000000000000") != std::string::npos);
        BOOST_TEST(r.out.find("NoNewPrivs:\t1") != std::string::npos);
    }
}

BOOST_AUTO_TEST_CASE(destinations_that_the_image_lacks_are_made_in_a_layer) {
    if (!possible()) return;
    Box box;
    fs::create_directory(box.session + "/never");
    std::ofstream(box.root + ".file") << "content";
    box.mounts += R"(,{"destination":"/new/deep/place","type":"bind","source":"/proc/sys","options":["rbind","ro","nosuid","nodev"]})";
    box.mounts += R"(,{"destination":"/etc/new.conf","type":"bind","source":")" + box.root + R"(.file","options":["bind","nosuid","nodev"],"directory":false})";
    const auto r = box.run({"sh", "-c", "ls -d /new/deep/place/kernel; cat /etc/new.conf; ls /etc"});
    BOOST_TEST_CONTEXT(r.err) BOOST_TEST(r.out.find("/new/deep/place/kernel\ncontent") == 0u);
    BOOST_TEST(r.out.find("passwd") != std::string::npos);
    BOOST_TEST(!fs::exists(box.root + "/new"));
    fs::remove(box.root + ".file");
}

BOOST_AUTO_TEST_CASE(without_a_layer_a_missing_destination_is_fatal_or_a_warning) {
    if (!possible()) return;
    Box box;
    box.layer = "none";
    const std::string before = box.mounts;
    box.mounts += R"(,{"destination":"/absent","type":"bind","source":"/proc","options":["rbind"],"missing":"warn","tag":"home"})";
    auto r = box.run({"true"});
    BOOST_TEST(r.code() == 0);
    BOOST_TEST(r.err == "WARNING: Skipping mount /proc [home]: /absent doesn't exist in container\n");
    box.mounts = before + R"(,{"destination":"/absent","type":"bind","source":"/proc","options":["rbind"],"missing":"fail"})";
    r = box.run({"true"});
    BOOST_TEST(r.code() == 255);
    BOOST_TEST(r.err.find("destination /absent doesn't exist in container") != std::string::npos);
    box.mounts = before + R"(,{"destination":"/absent","type":"bind","source":"/proc","options":["rbind"],"missing":"skip"})";
    r = box.run({"true"});
    BOOST_TEST(r.code() == 0);
    BOOST_TEST(r.err == "");
}

BOOST_AUTO_TEST_CASE(a_missing_place_below_a_directory_of_the_host_is_made_there_for_what_was_asked_for) {
    if (!possible()) return;
    Box box;
    const std::string data = box.root + ".data";
    fs::create_directory(data);
    const std::string before = box.mounts + R"(,{"destination":"/tmp","type":"bind","source":")" + data + R"(","options":["rbind"]})";
    const auto bind = [&](const char* place, const char* missing, const char* extra = "") {
        box.mounts = before + R"(,{"destination":")" + place + R"(","type":"bind","source":")" + (*extra ? "/proc/version" : "/proc/sys") + R"(","options":["rbind"],"missing":")" + missing + "\"" + extra + "}";
    };
    bind("/tmp/a/b", "fail");
    auto r = box.run({"ls", "-d", "/tmp/a/b/kernel"});
    BOOST_TEST_CONTEXT(r.err) BOOST_TEST(r.code() == 0);
    BOOST_TEST(fs::is_empty(data + "/a/b"));
    bind("/tmp/file", "fail", R"(,"directory":false)");
    r = box.run({"cat", "/tmp/file"});
    BOOST_TEST_CONTEXT(r.err) BOOST_TEST(r.out.find("Linux") == 0u);
    BOOST_TEST(fs::file_size(data + "/file") == 0u);
    // A home there hides nothing of what is beside it.
    box.mounts = before + R"(,{"destination":"/tmp/home","type":"bind","source":"/proc/sys","options":["rbind"],"missing":"fail","tag":"home"})";
    r = box.run({"ls", "-d", "/tmp/home/kernel", "/tmp/file"});
    BOOST_TEST_CONTEXT(r.err) BOOST_TEST(r.code() == 0);
    // Nobody asked for this one, and the image itself is never written to.
    bind("/tmp/c", "warn");
    r = box.run({"true"});
    BOOST_TEST(r.err.find("/tmp/c doesn't exist in container") != std::string::npos);
    BOOST_TEST(!fs::exists(data + "/c"));
    fs::create_symlink("tmp", box.root + "/link");
    bind("/link/c", "fail");
    BOOST_TEST(box.run({"true"}).code() == 255);
    BOOST_TEST(!fs::exists(data + "/c"));
    box.layer = "none";
    bind("/bin/c", "fail");
    BOOST_TEST(box.run({"true"}).code() == 255);
    BOOST_TEST(!fs::exists(box.root + "/bin/c"));
    bind("/tmp/file/c", "fail");
    BOOST_TEST(box.run({"true"}).code() == 255);
    fs::remove_all(data);
}

BOOST_AUTO_TEST_CASE(two_names_of_one_tmp_show_what_was_mounted_first) {
    if (!possible()) return;
    for (const bool first_is_link : {false, true}) {
        Box box;
        const std::string one = box.root + ".one", two = box.root + ".two";
        fs::create_directory(one);
        fs::create_directory(two);
        std::ofstream(one + "/first") << "";
        fs::create_directories(box.root + "/var/tmp");
        fs::remove(box.root + (first_is_link ? "/tmp" : "/var/tmp"));
        first_is_link ? fs::create_symlink("var/tmp", box.root + "/tmp") : fs::create_symlink("/tmp", box.root + "/var/tmp");
        box.mounts += R"(,{"destination":"/tmp","type":"bind","source":")" + one + R"(","options":["rbind"],"tag":"tmp"},{"destination":"/var/tmp","type":"bind","source":")" + two +
                      R"(","options":["rbind"],"tag":"tmp"})";
        const auto r = box.run({"ls", "/tmp", "/var/tmp/"});
        BOOST_TEST_CONTEXT(r.err) BOOST_TEST(r.out == "/tmp:\nfirst\n\n/var/tmp/:\nfirst\n");
        fs::remove_all(one);
        fs::remove_all(two);
    }
}

BOOST_AUTO_TEST_CASE(links_of_the_image_cannot_lead_a_mount_out) {
    if (!possible()) return;
    Box box;
    const std::string outside = box.root + ".outside";
    fs::create_directory(outside);
    fs::create_symlink("../../../../../../.." + outside, box.root + "/evil");
    box.layer = "none";
    box.mounts += R"(,{"destination":"/evil","type":"bind","source":"/proc","options":["rbind"],"missing":"warn"})";
    const auto r = box.run({"sh", "-c", "ls -d " + outside + "/self"});
    BOOST_TEST(r.code() != 0);
    BOOST_TEST(fs::is_empty(outside));
    BOOST_TEST(r.err.find("Skipping mount /proc") != std::string::npos);
    fs::remove_all(outside);
}

BOOST_AUTO_TEST_CASE(a_link_can_be_covered_by_a_file) {
    if (!possible()) return;
    Box box;
    fs::create_symlink("/usr/share/zone", box.root + "/etc/localtime");
    std::ofstream(box.root + ".file") << "zone";
    box.mounts += R"(,{"destination":"/etc/localtime","type":"bind","source":")" + box.root + R"(.file","options":["bind"],"directory":false,"replaceLink":true})";
    const auto r = box.run({"sh", "-c", "cat /etc/localtime; readlink /etc/localtime; ls /usr 2>&1"});
    BOOST_TEST(r.out.find("zone") == 0u);
    BOOST_TEST(r.out.find("/usr/share") == std::string::npos);
    fs::remove(box.root + ".file");
}

BOOST_AUTO_TEST_CASE(the_user_is_added_to_passwd_and_group) {
    if (!possible()) return;
    Box box;
    box.as_user();
    box.container_extra = R"(,"identity":{"user":{"name":"ann","uid":4242,"gid":4242,"gecos":"","home":"/home/ann","shell":"/bin/sh"},"groups":[{"name":"ann","gid":4242}]})";
    box.mounts += R"(,{"destination":"/etc/passwd","type":"generated","source":"passwd","options":["bind"],"directory":false,"create":false,"missing":"skip"})";
    box.mounts += R"(,{"destination":"/etc/group","type":"generated","source":"group","options":["bind"],"directory":false,"create":false,"missing":"skip"})";
    auto r = box.run({"id"});
    BOOST_TEST_CONTEXT(r.err) BOOST_TEST(r.out.find("uid=4242(ann) gid=4242(ann)") == 0u);
    fs::remove(box.root + "/etc/passwd");
    r = box.run({"sh", "-c", "ls /etc/passwd"});
    BOOST_TEST(r.code() != 0);
    BOOST_TEST(r.err.find("No such file") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_process_namespace_has_a_first_process_of_ours) {
    if (!possible()) return;
    for (const bool user : {false, true}) {
        Box box;
        if (user) box.as_user();
        box.namespaces += R"(,{"type":"pid"})";
        box.mounts = R"({"destination":"/proc","type":"proc","options":["nosuid","nodev"]})";
        auto r = box.run({"sh", "-c", "cat /proc/1/comm; echo $$; exit 5"});
        BOOST_TEST_CONTEXT(r.err) {
            BOOST_TEST(r.out == "appinit\n2\n");
            BOOST_TEST(r.code() == 5);
        }
        BOOST_TEST(box.run({"sh", "-c", "kill -KILL $$"}).code() == 128 + SIGKILL);
        // A child that was left behind ends with the command.
        BOOST_TEST(box.run({"sh", "-c", "sleep 1000 >/dev/null 2>&1 & exit 3"}).code() == 3);
        BOOST_TEST(box.run({"nothing"}).err == "FATAL:   \"nothing\": executable file not found in $PATH\n");
        box.container_extra = R"(,"init":false)";
        BOOST_TEST(box.run({"sh", "-c", "echo $$"}).out == "1\n");
    }
}

BOOST_AUTO_TEST_CASE(signals_to_the_launcher_reach_the_payload) {
    if (!possible()) return;
    Box box;
    box.namespaces += R"(,{"type":"pid"})";
    int out[2];
    BOOST_REQUIRE(pipe2(out, O_CLOEXEC) == 0);
    const pid_t child = box.start(box.spec({"sh", "-c", "trap 'echo got; exit 9' TERM; echo ready; while :; do sleep 1; done"}), out[1], -1);
    close(out[1]);
    char buffer[6];
    BOOST_REQUIRE(read(out[0], buffer, 6) == 6);
    kill(child, SIGTERM);
    BOOST_TEST(read_all(out[0]) == "got\n");
    int status = 0;
    waitpid(child, &status, 0);
    BOOST_TEST(WEXITSTATUS(status) == 9);
    close(out[0]);
}

BOOST_AUTO_TEST_CASE(nothing_is_left_when_any_process_is_killed) {
    if (!possible()) return;
    for (const bool pid : {false, true}) {
        Box box;
        if (pid) box.namespaces += R"(,{"type":"pid"})";
        int out[2];
        BOOST_REQUIRE(pipe2(out, O_CLOEXEC) == 0);
        const pid_t child = box.start(box.spec({"sh", "-c", "echo ready; sleep 1000"}), out[1], -1);
        close(out[1]);
        char buffer[6];
        BOOST_REQUIRE(read(out[0], buffer, 6) == 6);
        kill(child, SIGKILL);
        waitpid(child, nullptr, 0);
        if (pid) {
            // All have closed the pipe: nobody lives.
            BOOST_TEST(read_all(out[0]) == "");
        } else {
            // Its child is an ordinary orphan, as without a container.
        }
        close(out[0]);
        std::ifstream mounts("/proc/self/mountinfo");
        std::stringstream text;
        text << mounts.rdbuf();
        BOOST_TEST(text.str().find(box.root) == std::string::npos);
        BOOST_TEST(fs::is_empty(box.session));
        if (!pid) {
            for (const auto& p : fs::directory_iterator("/proc")) {
                std::ifstream comm(p.path() / "cmdline");
                std::string line;
                std::getline(comm, line);
                std::error_code ec;
                const auto exe = fs::read_symlink(p.path() / "exe", ec);
                if (!ec && exe.filename() == "busybox" && line.find("1000") != std::string::npos && fs::read_symlink(p.path() / "root", ec) != "/" )
                    kill(std::stoi(p.path().filename()), SIGKILL);
            }
        }
    }
}

BOOST_AUTO_TEST_CASE(closed_standard_descriptors_are_opened_on_null) {
    if (!possible()) return;
    const Box box;
    int out[2];
    BOOST_REQUIRE(pipe2(out, O_CLOEXEC) == 0);
    const std::string json = box.spec({"sh", "-c", "readlink /proc/self/fd/0; readlink /proc/self/fd/2"});
    const pid_t child = fork();
    if (child == 0) {
        dup2(out[1], 1);
        close(0);
        close(2);
        box.launch(json);
    }
    close(out[1]);
    BOOST_TEST(read_all(out[0]) == "/dev/null\n/dev/null\n");
    close(out[0]);
    waitpid(child, nullptr, 0);
}

BOOST_AUTO_TEST_CASE(the_working_directory_falls_back_unless_it_was_asked_for) {
    if (!possible()) return;
    Box box;
    box.process = R"("env":["PATH=/bin"],"cwd":"/absent")";
    box.container_extra = R"(,"cwd":{"required":false,"fallback":["/also-absent","/root"]})";
    auto r = box.run({"sh", "-c", "pwd; echo $PWD"});
    BOOST_TEST(r.out == "/root\n/root\n");
    BOOST_TEST(r.err.find("WARNING: cannot enter the directory /absent") == 0u);
    box.container_extra = R"(,"cwd":{"required":true})";
    r = box.run({"pwd"});
    BOOST_TEST(r.code() == 255);
}

BOOST_AUTO_TEST_CASE(actions_find_their_programs) {
    if (!possible()) return;
    Box box;
    auto r = box.run({"-c", "echo $SHELL $0"}, "shell");
    BOOST_TEST(r.out == "/bin/sh /bin/sh\n");
    r = box.run({}, "test");
    BOOST_TEST(r.code() == 0);
    BOOST_TEST(r.err == "No test found in container, executing /bin/sh -c true\n");
    std::ofstream(box.root + "/.singularity.d/test") << "#!/bin/sh\necho tested \"$@\"\nexit 4\n";
    std::ofstream(box.root + "/.singularity.d/runscript") << "#!/bin/sh\necho ran \"$@\"\n";
    std::ofstream(box.root + "/.singularity.d/env/90-environment.sh") << "export FROM_IMAGE=$(echo yes)\n";
    for (const char* f : {"test", "runscript"}) chmod((box.root + "/.singularity.d/" + f).c_str(), 0755);
    r = box.run({"x"}, "test");
    BOOST_TEST(r.code() == 4);
    BOOST_TEST(r.out == "tested x\n");
    BOOST_TEST(box.run({"a b", "c"}, "run").out == "ran a b c\n");
    BOOST_TEST(box.run({"sh", "-c", "echo $FROM_IMAGE $FOO"}).out == "yes host\n");
}

BOOST_AUTO_TEST_CASE(a_writable_layer_is_forgotten_and_a_writable_directory_is_not) {
    if (!possible()) return;
    Box box;
    box.layer = "tmpfs";
    BOOST_TEST(box.run({"sh", "-c", "echo x > /made && cat /made"}).out == "x\n");
    BOOST_TEST(!fs::exists(box.root + "/made"));
    box.layer = "none";
    box.read_only = "false";
    BOOST_TEST(box.run({"sh", "-c", "echo x > /made && cat /made"}).out == "x\n");
    BOOST_TEST(fs::exists(box.root + "/made"));
}

BOOST_AUTO_TEST_CASE(a_device_directory_of_its_own_has_what_programs_need) {
    if (!possible()) return;
    for (const bool user : {false, true}) {
        Box box;
        if (user) box.as_user();
        box.namespaces += R"(,{"type":"ipc"})";
        box.mounts += R"(,{"destination":"/dev","type":"dev","options":["rbind","nosuid"]})";
        const auto r = box.run({"sh", "-c", "echo x > /dev/null && cat /dev/shm 2>/dev/null; ls /dev"});
        BOOST_TEST_CONTEXT(r.err) {
            for (const char* d : {"null", "zero", "full", "random", "urandom", "tty", "shm", "pts", "ptmx", "fd", "mqueue"})
                BOOST_TEST(r.out.find(std::string(d) + "\n") != std::string::npos);
            BOOST_TEST(r.out.find("loop") == std::string::npos);
        }
    }
}

BOOST_AUTO_TEST_CASE(a_host_name_of_its_own) {
    if (!possible()) return;
    Box box;
    box.namespaces += R"(,{"type":"uts"})";
    box.hostname = "box";
    BOOST_TEST(box.run({"hostname"}).out == "box\n");
}

BOOST_AUTO_TEST_CASE(overlays_hide_one_another_and_the_writable_one_takes_what_is_written) {
    if (!possible()) return;
    for (const bool user : {false, true}) {
        Box box;
        const std::string top = box.root + ".top", below = box.root + ".below";
        fs::create_directories(top);
        fs::create_directories(below + "/upper/etc");
        std::ofstream(below + "/upper/etc/from") << "overlay\n";
        if (user) {
            box.as_user();
            // The kernel copies nothing up whose owner the user namespace does not have.
            BOOST_REQUIRE(std::system(("chown -R 4242:4242 " + top + " " + below + " " + box.root).c_str()) == 0);
        }
        box.more_images = R"(,{"role":"overlay","type":"bind","path":")" + top + R"(","writable":true},{"role":"overlay","type":"bind","path":")" + below + R"("})";
        const Result r = box.run({"sh", "-c", "cat /etc/from; echo new >/etc/new; busybox rm /etc/group; echo $?"});
        BOOST_TEST(r.out == "overlay\n0\n", r.err);
        BOOST_TEST(fs::exists(top + "/upper/etc/new"));
        BOOST_TEST(!fs::exists(below + "/upper/etc/new"));
        BOOST_TEST(fs::exists(box.root + "/etc/group"));
        fs::remove_all(top);
        fs::remove_all(below);
    }
}

BOOST_AUTO_TEST_CASE(a_list_of_users_that_is_no_file_is_left_alone) {
    if (!possible()) return;
    Box box;
    fs::remove(box.root + "/etc/passwd");
    BOOST_REQUIRE(mkfifo((box.root + "/etc/passwd").c_str(), 0644) == 0);
    box.mounts += R"(,{"destination":"/etc/passwd","type":"generated","source":"passwd","options":["bind"],"missing":"skip","create":false,"directory":false})";
    const Result r = box.run({"sh", "-c", "[ -p /etc/passwd ] && echo fifo"});
    BOOST_TEST(r.out == "fifo\n", r.err);
}

BOOST_AUTO_TEST_CASE(environment_scripts_that_kill_their_shell_are_a_failure_with_words) {
    if (!possible()) return;
    Box box;
    std::ofstream(box.root + "/.singularity.d/env/10-x.sh") << "kill -SEGV $$\n";
    const Result r = box.run({"true"});
    BOOST_TEST(r.code() == 255);
    BOOST_TEST(r.err.find("ended by signal 11") != std::string::npos, r.err);
}

BOOST_AUTO_TEST_SUITE_END()
