#include <boost/test/unit_test.hpp>

#include "base/error.hpp"
#include "runtime/resources.hpp"
#include "scratch.hpp"

using namespace sg;
using namespace sg::runtime;

BOOST_AUTO_TEST_SUITE(resources)

BOOST_AUTO_TEST_CASE(processors_become_a_quota) {
    Resources r;
    set_cpus(r, "1.5");
    BOOST_TEST(*r.cpu_quota == 150000);
    BOOST_TEST(*r.cpu_period == 100000u);
    for (const char* text : {"", "0", "-1", "nan", "inf", "2x", "1e9"}) BOOST_CHECK_THROW(set_cpus(r, text), Error);
}

BOOST_AUTO_TEST_CASE(bytes_have_units) {
    BOOST_TEST(parse_bytes("1073741824", "--memory") == 1073741824);
    BOOST_TEST(parse_bytes("512m", "--memory") == 512ll << 20);
    BOOST_TEST(parse_bytes("2GiB", "--memory") == 2ll << 30);
    BOOST_TEST(parse_bytes("1k", "--memory") == 1024);
    BOOST_TEST(parse_bytes("-1", "--memory-swap", true) == -1);
    for (const char* text : {"", "m", "-1", "1x", "1.5g", "99999999999g", "1 g"}) BOOST_CHECK_THROW(parse_bytes(text, "--memory"), Error);
}

BOOST_AUTO_TEST_CASE(a_weight_names_its_device) {
    const DeviceRate d = parse_device_weight("8:16:500");
    BOOST_TEST(d.major == 8);
    BOOST_TEST(d.minor == 16);
    BOOST_TEST(d.value == 500u);
    for (const char* text : {"", "500", "/no/such:500", "8:x:500", "8:0:", "/dev/null:500"}) BOOST_CHECK_THROW(parse_device_weight(text), Error);
}

BOOST_AUTO_TEST_CASE(values_that_make_no_sense_together_are_refused) {
    Resources r;
    r.memory_swap = 100;
    BOOST_CHECK_THROW(check(r), Error);
    r.memory = 200;
    BOOST_CHECK_THROW(check(r), Error);
    r.memory = 100;
    BOOST_CHECK_NO_THROW(check(r));
    r.io_weight = 5;
    BOOST_CHECK_THROW(check(r), Error);
    r.io_weight = 10;
    r.cpus = "0-1;";
    BOOST_CHECK_THROW(check(r), Error);
}

BOOST_AUTO_TEST_CASE(a_file_has_the_members_of_the_runtime_spec) {
    const Scratch s;
    const Resources r = read_resources(s.write("limits.toml",
                                               "[memory]\nlimit = 1024\nreservation = 512\nswap = 2048\ndisableOOMKiller = true\n[cpu]\nshares = 512\nquota = 50000\nperiod = 100000\n"
                                               "cpus = \"0-1\"\nmems = \"0\"\n[pids]\nlimit = 7\n[blockIO]\nweight = 100\n[[blockIO.weightDevice]]\nmajor = 8\nminor = 0\nweight = 200\n"
                                               "[[blockIO.throttleReadBpsDevice]]\nmajor = 8\nminor = 0\nrate = 1000\n[[devices]]\nallow = false\naccess = \"rwm\"\n"
                                               "[unified]\n\"memory.high\" = \"1000\"\n"));
    BOOST_TEST(*r.memory == 1024);
    BOOST_TEST(*r.memory_swap == 2048);
    BOOST_TEST(*r.oom_kill_disable);
    BOOST_TEST(*r.cpu_shares == 512u);
    BOOST_TEST(r.cpus == "0-1");
    BOOST_TEST(*r.pids == 7);
    BOOST_TEST(*r.io_weight == 100u);
    BOOST_TEST(r.io_weights.at(0).value == 200u);
    BOOST_TEST(r.read_bytes.at(0).value == 1000u);
    BOOST_TEST(r.devices.size() == 1u);
    BOOST_TEST(r.unified.at("memory.high") == "1000");
    BOOST_TEST(!read_resources(s.write("empty.toml", "")).any());
}

BOOST_AUTO_TEST_CASE(what_is_wrong_in_a_file_is_named_with_its_line) {
    const Scratch s;
    const auto message = [&](const std::string& text) {
        try {
            (void)read_resources(s.write("x.toml", text));
        } catch (const Error& e) {
            return e.message();
        }
        return std::string();
    };
    BOOST_TEST(message("\n[memory]\nlimitt = 3\n").find(":3: 'memory.limitt'") != std::string::npos);
    BOOST_TEST(message("[memory]\nlimit = \"3\"\n").find(":2:") != std::string::npos);
    BOOST_TEST(message("[cpu]\nshares = -1\n").find("negative") != std::string::npos);
    BOOST_TEST(message("[memory\n").find(":1:") != std::string::npos);
    BOOST_TEST(message("[[devices]]\ntype = \"q\"\n").find("devices.type") != std::string::npos);
    BOOST_CHECK_THROW(read_resources(s / "none.toml"), Error);
}

BOOST_AUTO_TEST_SUITE_END()
