#include <sys/stat.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <fstream>

#include "base/error.hpp"
#include "config/settings.hpp"
#include "config/store.hpp"
#include "scratch.hpp"

using namespace sg;

namespace {

struct World : Scratch {
    World() {
        unsetenv("SINGULARITY_CACHEDIR");
        unsetenv("APPTAINER_CACHEDIR");
        plugin("a", manifest("a"));
        site("plugins.d/00.yaml", "plugins: [a/plugin.yaml]\n");
        site("singularity.yaml", "build: {threads: 2}\n");
        std::filesystem::create_directories(at("etc/singularity/conf.d"));
        age();
    }
    LoadedIndex load(Keep keep = Keep::cache) const { return load_index(installation(), home(), keep); }
    // Loads twice: the second time from what the first one kept.
    std::string kept() const {
        load();
        return load().from;
    }
    std::string threads() const {
        const LoadedIndex l = load();
        return Settings(l.index).shown("build.threads");
    }
};

std::string bytes_of(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

BOOST_FIXTURE_TEST_CASE(the_second_start_reads_the_index_that_the_first_one_kept, World) {
    BOOST_TEST(load().from == "");
    const LoadedIndex second = load();
    BOOST_TEST(second.from.starts_with(at("home/.singularity/cache/index/")));
    BOOST_TEST(second.index.find(CapabilityKind::bootstrap, "a").has_value());
    struct stat st {};
    BOOST_REQUIRE(stat(second.from.c_str(), &st) == 0);
    BOOST_TEST((st.st_mode & 0777) == 0600u);
}

BOOST_FIXTURE_TEST_CASE(a_change_of_any_file_is_seen, World) {
    kept();
    site("singularity.yaml", "build: {threads: 3}\n");  // the same size
    BOOST_TEST(threads() == "3");
    age();
    kept();
    site("conf.d/10.yaml", "build: {threads: 4}\n");
    BOOST_TEST(threads() == "4");
    age();
    kept();
    std::filesystem::remove(at("etc/singularity/conf.d/10.yaml"));
    BOOST_TEST(threads() == "3");
    age();
    kept();
    plugin("a", manifest("b"));
    BOOST_TEST(load().index.find(CapabilityKind::bootstrap, "b").has_value());
    age();
    kept();
    user("config.yaml", "build: {threads: 5}\n");
    BOOST_TEST(threads() == "5");
}

BOOST_FIXTURE_TEST_CASE(a_file_of_the_same_size_and_time_is_told_by_its_inode, World) {
    kept();
    site("singularity.new", "build: {threads: 7}\n");
    age();  // the same second for all
    std::filesystem::rename(at("etc/singularity/singularity.new"), at("etc/singularity/singularity.yaml"));
    age();
    BOOST_TEST(threads() == "7");
}

BOOST_FIXTURE_TEST_CASE(an_index_of_fresh_files_is_not_kept, World) {
    site("singularity.yaml", "build: {threads: 3}\n");
    BOOST_TEST(kept() == "");
}

BOOST_FIXTURE_TEST_CASE(damage_is_never_trusted, World) {
    const std::string path = kept();
    const std::string good = bytes_of(path);
    for (size_t i = 0; i < good.size(); i += 97) {
        std::string bad = good;
        bad[i] = static_cast<char>(bad[i] ^ 0x10);
        std::ofstream(path, std::ios::binary | std::ios::trunc) << bad;
        BOOST_REQUIRE(load().from == "");  // compiled anew, and kept again
        BOOST_REQUIRE(load().from == path);
    }
    for (const size_t n : {size_t{0}, size_t{7}, size_t{100}, good.size() - 1}) {
        std::ofstream(path, std::ios::binary | std::ios::trunc) << good.substr(0, n);
        BOOST_TEST(load().from == "");
    }
}

BOOST_FIXTURE_TEST_CASE(an_index_that_others_may_write_is_never_used, World) {
    const std::string path = kept();
    chmod(path.c_str(), 0602);
    BOOST_TEST(load().from == "");
    BOOST_TEST(load().from == path);  // written anew, with its own mode
    chmod(path.c_str(), 0620);
    BOOST_TEST(load().from == "");
    load();
    chmod(at("home/.singularity/cache/index").c_str(), 0777);
    BOOST_TEST(load().from == "");
    BOOST_TEST(load().from == "");  // nor is anything put there
    chmod(at("home/.singularity/cache/index").c_str(), 0700);
    const std::string real = path + ".real";
    std::filesystem::rename(path, real);
    std::filesystem::create_symlink(real, path);
    BOOST_TEST(load().from == "");
    if (geteuid() == 0) {
        BOOST_TEST(load().from == path);
        BOOST_REQUIRE(chown(path.c_str(), 12345, 12345) == 0);
        BOOST_TEST(load().from == "");
    }
}

BOOST_FIXTURE_TEST_CASE(an_index_of_another_installation_is_not_used, World) {
    const std::string path = kept();
    Installation other = installation();
    other.plugin_dir += "x";
    BOOST_TEST(load_index(other, home()).from == "");
    World second;
    const std::string place = second.kept();
    std::filesystem::copy_file(path, place, std::filesystem::copy_options::overwrite_existing);
    BOOST_TEST(second.load().from == "");
}

BOOST_FIXTURE_TEST_CASE(the_installations_index_serves_all_who_have_no_files_of_their_own, World) {
    write_site_index(installation());
    BOOST_TEST(load().from == installation().site_index);
    BOOST_TEST(load_index(installation(), Home{}).from == installation().site_index);
    user("config.yaml", "build: {threads: 9}\n");
    BOOST_TEST(threads() == "9");
    std::filesystem::remove(at("home/.singularity/config.yaml"));
    site("singularity.yaml", "build: {threads: 4}\n");
    BOOST_TEST(threads() == "4");
    age(20);
    BOOST_TEST(load(Keep::site).from == "");
    BOOST_TEST(load().from == installation().site_index);
    chmod(installation().site_index.c_str(), 0666);
    BOOST_TEST(load().from != installation().site_index);
}

BOOST_FIXTURE_TEST_CASE(without_a_home_of_ones_own_nothing_is_written, World) {
    BOOST_TEST(load_index(installation(), Home{}).from == "");
    BOOST_TEST(load_index(installation(), Home{}).from == "");
    if (geteuid() == 0) {
        BOOST_REQUIRE(chown(at("home").c_str(), 12345, 12345) == 0);
        load();
        BOOST_TEST(!std::filesystem::exists(at("home/.singularity")));
    }
}

BOOST_FIXTURE_TEST_CASE(the_cache_may_be_elsewhere, World) {
    setenv("SINGULARITY_CACHEDIR", at("elsewhere").c_str(), 1);
    BOOST_TEST(kept().starts_with(at("elsewhere/cache/index/")));
    unsetenv("SINGULARITY_CACHEDIR");
}

BOOST_AUTO_TEST_CASE(an_installation_is_found_from_its_program) {
    const Installation i = Installation::at("/opt/sg/bin/singularity");
    BOOST_TEST(i.prefix == "/opt/sg");
    BOOST_TEST(i.conf_dir == "/opt/sg/etc/singularity");
    BOOST_TEST(i.module == "/opt/sg/libexec/singularity/build.so");
    BOOST_TEST(i.plugin_dir.ends_with("/singularity/plugins"));
    BOOST_TEST(Installation::at("/usr/bin/singularity").conf_dir == "/etc/singularity");
    BOOST_TEST(Installation::at("/bin/singularity").conf_dir == "/etc/singularity");
    Scratch build;
    build.write("CMakeCache.txt", "");
    BOOST_TEST(Installation::at(build.at("bin/singularity")).plugin_dir == build.at("plugins"));
    BOOST_TEST(Installation::find().executable.starts_with("/"));
}
