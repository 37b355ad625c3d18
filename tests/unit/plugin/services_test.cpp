#include "plugin/services.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <boost/test/unit_test.hpp>
#include <set>
#include <thread>

#include "plugin/executor.hpp"
#include "plugin/memory_budget.hpp"
#include "plugin/temporary.hpp"
#include "world.hpp"

using namespace sg;

BOOST_FIXTURE_TEST_CASE(every_table_of_the_host_is_there_by_name_and_version, World) {
    add_good();
    const sg_host* c = host().c();
    BOOST_TEST(c->abi == SG_ABI_VERSION);
    for (const char* name : {"log", "call", "config", "temporary", "executor", "memory", "credentials", "definition",
                             "signers", "transport", "image"}) {
        BOOST_TEST((c->table(c, name, 1) != nullptr), name);
        BOOST_TEST((c->table(c, name, 99) == nullptr), name);
    }
    for (const char* name : {"credentials", "transport", "image"}) BOOST_TEST((c->table(c, name, 2) != nullptr), name);
    for (const char* name : {"mount", "state"})
        BOOST_TEST((c->table(c, name, 1) == nullptr), name);  // this host was given none
    static constexpr sg_host_state_v1 state{};
    Services::set_state([] { return &state; });
    BOOST_TEST((c->table(c, "state", 1) == &state));
    Services::set_state([]() -> const sg_host_state_v1* { throw Error(Code::unsupported, "no module"); });
    BOOST_TEST((c->table(c, "state", 1) == nullptr));
    BOOST_TEST((c->table(c, "nothing", 1) == nullptr));
}

BOOST_FIXTURE_TEST_CASE(plugins_read_effective_values, World) {
    add_good();
    const sg_host* c = host().c();
    const auto& config = *static_cast<const sg_host_config_v1*>(c->table(c, "config", 1));
    BOOST_TEST(config.text("good.mode") == std::string("fast"));
    BOOST_TEST((config.text("no.key") == nullptr));
    BOOST_TEST((config.text("build.threads") == nullptr));  // another type
    int64_t n = 0;
    BOOST_TEST(config.integer("limits.entries", &n) == SG_OK);
    BOOST_TEST(n == 10'000'000);
    BOOST_TEST(config.integer("no.key", &n) == SG_ENOTFOUND);
    BOOST_TEST(config.integer("mount.home", &n) == SG_EINVALID);
    int32_t yes = 0;
    BOOST_TEST(config.boolean("mount.home", &yes) == SG_OK);
    BOOST_TEST(yes == 1);
    BOOST_TEST(config.item("bind.paths", 1) == std::string("/etc/hosts"));
    BOOST_TEST((config.item("bind.paths", 2) == nullptr));
}

BOOST_FIXTURE_TEST_CASE(a_host_without_a_reader_of_definitions_says_so, World) {
    add_good();
    const sg_host* c = host().c();
    const auto& table = *static_cast<const sg_host_definition_v1*>(c->table(c, "definition", 1));
    sg_error error{};
    sg_slice out{};
    BOOST_TEST(table.read("/x.def", nullptr, &out, &error) == SG_EUNSUPPORTED);
    BOOST_TEST((out.data == nullptr));
}

BOOST_FIXTURE_TEST_CASE(a_plugin_may_ask_who_signed_an_image, World) {
    add_good();
    const sg_host* c = host().c();
    const auto& table = *static_cast<const sg_host_signers_v1*>(c->table(c, "signers", 1));
    std::vector<std::string> told;
    const sg_signers_sink sink{&told,
                               [](void* arg, const char* print) -> int32_t {
                                   static_cast<std::vector<std::string>*>(arg)->emplace_back(print);
                                   return SG_OK;
                               },
                               nullptr};
    sg_error error{};
    BOOST_TEST(table.find("/x.sif", nullptr, &sink, &error) == SG_EUNSUPPORTED);  // nobody answers
    std::string asked;
    Services::set_signers([&](const char* path, const sg_call*) {
        asked = path;
        return std::vector<std::string>{"AA", "BB"};
    });
    BOOST_TEST(table.find("/x.sif", nullptr, &sink, &error) == SG_OK);
    BOOST_TEST(asked == "/x.sif");
    BOOST_TEST((told == std::vector<std::string>{"AA", "BB"}));
    const sg_signers_sink full{&told, [](void*, const char*) -> int32_t { return SG_ELIMIT; }, nullptr};
    BOOST_TEST(table.find("/x.sif", nullptr, &full, &error) == SG_ELIMIT);
    Services::set_signers(
        [&](const char*, const sg_call*) -> std::vector<std::string> { throw Error(Code::io, "no"); });
    BOOST_TEST(table.find("/x.sif", nullptr, &sink, &error) == SG_EIO);
    BOOST_TEST(told.size() == 2u);
}

BOOST_FIXTURE_TEST_CASE(calls_carry_cancel_and_progress, World) {
    add_good();
    const sg_host* c = host().c();
    const auto& table = *static_cast<const sg_host_call_v1*>(c->table(c, "call", 1));
    struct Counting : Progress {
        struct One : Bar {
            Counting& all;
            explicit One(Counting& a) : all(a) {}
            void advance(uint64_t n) override { all.bytes += n; }
            void end(int32_t code) override { all.ended = code; }
        };
        Bar* begin(const char* label, uint64_t) override { return name = label, new One(*this); }
        std::string name;
        uint64_t bytes = 0;
        int32_t ended = -1;
    } progress;
    CancelToken token;
    const sg_call call{token, &progress};
    sg_task* task = table.begin(&call, "Copying", 10);
    table.advance(task, 4);
    table.advance(task, 6);
    table.end(task, SG_OK);
    BOOST_TEST(progress.name == "Copying");
    BOOST_TEST(progress.bytes == 10u);
    BOOST_TEST(progress.ended == SG_OK);
    BOOST_TEST(table.cancelled(&call) == 0);
    token.cancel();
    BOOST_TEST(table.cancelled(&call) == 1);
    BOOST_TEST(table.cancel_fd(&call) == token.fd());
    BOOST_TEST(table.cancelled(nullptr) == 0);
    BOOST_TEST(table.cancel_fd(nullptr) == -1);
    BOOST_TEST((table.begin(nullptr, "x", 1) == nullptr));
    table.advance(nullptr, 1);
    table.end(nullptr, SG_OK);
}

namespace {
int asked_for_credentials = 0;
const sg_host_credentials_v2& some_credentials() {
    ++asked_for_credentials;
    static const sg_host_credentials_v2 table = {
        [](const char* server, const char* file, sg_credentials* out, sg_error*) -> int32_t {
            singularity::detail::copy_text(out->user, std::string(server) + "|" + (file ? file : ""));
            return SG_OK;
        },
        nullptr, nullptr, nullptr, nullptr};
    return table;
}
}  // namespace

BOOST_FIXTURE_TEST_CASE(credentials_are_fetched_when_somebody_asks_and_serve_both_versions, World) {
    add_good();
    asked_for_credentials = 0;
    credentials = some_credentials;
    const sg_host* c = host().c();
    const auto* first = static_cast<const sg_host_credentials_v1*>(c->table(c, "credentials", 1));
    const auto* second = static_cast<const sg_host_credentials_v2*>(c->table(c, "credentials", 2));
    BOOST_REQUIRE((first && second));
    BOOST_TEST((c->table(c, "credentials", 3) == nullptr));
    BOOST_TEST(asked_for_credentials == 0);
    sg_credentials who{};
    BOOST_TEST(first->find("host", &who, nullptr) == SG_OK);
    BOOST_TEST(std::string(who.user) == "host|");
    BOOST_TEST(second->find("host", "file", &who, nullptr) == SG_OK);
    BOOST_TEST(std::string(who.user) == "host|file");
}

BOOST_FIXTURE_TEST_CASE(credentials_transports_and_images_come_from_the_host, World) {
    add_good();
    const sg_host* c = host().c();
    sg_error err{};
    sg_credentials who{};
    BOOST_TEST(static_cast<const sg_host_credentials_v1*>(c->table(c, "credentials", 1))->find("host", &who, &err) == SG_ENOTFOUND);
    const sg_transport_v1* transport = nullptr;
    BOOST_TEST(static_cast<const sg_host_transport_v1*>(c->table(c, "transport", 1))->find("https", &transport, &err) == SG_ENOTFOUND);
    BOOST_TEST(holds(std::string(err.message), "https"));
    const sg_format_v1* format = nullptr;
    sg_image_file* image = nullptr;
    const auto& images = *static_cast<const sg_host_image_v1*>(c->table(c, "image", 1));
    BOOST_REQUIRE(images.open(write("i", "GOOD").c_str(), &format, &image, &err) == SG_OK);
    format->close(image);
    const auto& editable = *static_cast<const sg_host_image_v2*>(c->table(c, "image", 2));
    const sg_parts_v1* parts = reinterpret_cast<const sg_parts_v1*>(&err);
    BOOST_REQUIRE(editable.open(write("i", "GOOD").c_str(), 0, &format, &parts, &image, &err) == SG_OK);
    BOOST_TEST(!parts);  // this format has none
    format->close(image);
    BOOST_TEST(images.open(at("none").c_str(), &format, &image, &err) == SG_ENOTFOUND);
}

BOOST_AUTO_TEST_CASE(the_executor_runs_all_jobs_on_at_most_its_threads) {
    static std::atomic<int> done;
    static std::mutex mutex;
    static std::set<std::thread::id> ids;
    done = 0;
    {
        Executor executor(3);
        BOOST_TEST(executor.width() == 3u);
        for (int i = 0; i < 1000; ++i)
            BOOST_REQUIRE(executor.submit(
                [](void*) {
                    const std::lock_guard lock(mutex);
                    ids.insert(std::this_thread::get_id());
                    ++done;
                },
                nullptr));
    }  // the end waits for what is queued
    BOOST_TEST(done == 1000);
    BOOST_TEST(ids.size() >= 1u);
    BOOST_TEST(ids.size() <= 3u);
}

BOOST_AUTO_TEST_CASE(the_memory_budget_holds_back_until_there_is_room) {
    MemoryBudget budget(100);
    BOOST_TEST(budget.reserve(1000, nullptr));  // nothing is held: even more than all
    CancelToken token;
    std::atomic<bool> got{false};
    std::thread waiter([&] { got = budget.reserve(60, &token); });
    budget.release(1000);
    waiter.join();
    BOOST_TEST(got);
    std::thread second([&] { got = budget.reserve(60, &token); });
    token.cancel();
    second.join();
    BOOST_TEST(!got);
}

BOOST_AUTO_TEST_CASE(temporary_files_have_no_name_and_directories_vanish) {
    Scratch scratch;
    std::string directory;
    {
        Temporary temporary(scratch.path());
        const UniqueFd file = temporary.file();
        BOOST_TEST(write(file.get(), "x", 1) == 1);
        struct stat st {};
        BOOST_REQUIRE(fstat(file.get(), &st) == 0);
        BOOST_TEST(st.st_nlink == 0u);
        BOOST_TEST((fcntl(file.get(), F_GETFD) & FD_CLOEXEC) != 0);
        directory = temporary.directory();
        BOOST_REQUIRE(stat(directory.c_str(), &st) == 0);
        BOOST_TEST((st.st_mode & 0777) == 0700u);
        std::filesystem::create_directories(directory + "/a/b");
        std::filesystem::create_symlink(scratch.path(), directory + "/a/link");
        chmod((directory + "/a/b").c_str(), 0);
    }
    BOOST_TEST(!std::filesystem::exists(directory));
    BOOST_TEST(std::filesystem::exists(scratch.path()));
    BOOST_CHECK_EXCEPTION(Temporary("/no/such").file(), Error, [](const Error& e) { return holds(e.message(), "/no/such"); });
}

BOOST_AUTO_TEST_CASE(what_a_killed_process_left_is_removed_but_nothing_that_is_in_use) {
    Scratch scratch;
    for (const char* name : {"singularity-tmp-old", "singularity-tmp-used", "singularity-tmp-young", "other"}) {
        std::filesystem::create_directories(scratch.at(name));
        const timespec old[2] = {{1000, 0}, {1000, 0}};
        if (std::string(name) != "singularity-tmp-young") utimensat(AT_FDCWD, scratch.at(name).c_str(), old, 0);
    }
    const UniqueFd used(open(scratch.at("singularity-tmp-used").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    BOOST_REQUIRE(flock(used.get(), LOCK_EX) == 0);
    Temporary temporary(scratch.path());
    temporary.directory();
    BOOST_TEST(!std::filesystem::exists(scratch.at("singularity-tmp-old")));
    BOOST_TEST(std::filesystem::exists(scratch.at("singularity-tmp-used")));
    BOOST_TEST(std::filesystem::exists(scratch.at("singularity-tmp-young")));
    BOOST_TEST(std::filesystem::exists(scratch.at("other")));
}
