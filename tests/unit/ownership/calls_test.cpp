// Which system calls are answered.
#include "ownership/calls.hpp"

#include <linux/audit.h>
#include <rapidjson/document.h>
#include <sys/syscall.h>

#include <boost/test/unit_test.hpp>
#include <set>

using sg::ownership::Call;
using sg::ownership::known_call;

BOOST_AUTO_TEST_SUITE(calls)

BOOST_AUTO_TEST_CASE(a_number_means_what_its_architecture_says) {
#if defined(__x86_64__)
    BOOST_TEST((known_call(AUDIT_ARCH_X86_64, SYS_chown)->call == Call::chown));
    BOOST_TEST((known_call(AUDIT_ARCH_X86_64, SYS_setuid)->call == Call::setuid));
    BOOST_TEST(!known_call(AUDIT_ARCH_X86_64, SYS_setuid)->short_ids);
    // i386: 182 is chown with 16 bits, which is pselect's neighbour elsewhere; 92 (chown here) is truncate there.
    BOOST_TEST((known_call(AUDIT_ARCH_I386, 182)->call == Call::chown));
    BOOST_TEST(known_call(AUDIT_ARCH_I386, 182)->short_ids);
    BOOST_TEST(!known_call(AUDIT_ARCH_I386, 182)->wide);
    BOOST_TEST((known_call(AUDIT_ARCH_I386, 212)->call == Call::chown));
    BOOST_TEST(!known_call(AUDIT_ARCH_I386, 212)->short_ids);
    BOOST_TEST(!known_call(AUDIT_ARCH_I386, SYS_chown).has_value());
    BOOST_TEST(!known_call(AUDIT_ARCH_X86_64, 182).has_value());
    // x32 marks its calls with a bit and passes 64 bits.
    BOOST_TEST((known_call(AUDIT_ARCH_X86_64, 0x40000000u | SYS_chown)->call == Call::chown));
    BOOST_TEST(known_call(AUDIT_ARCH_X86_64, 0x40000000u | SYS_chown)->wide);
#endif
}

BOOST_AUTO_TEST_CASE(a_number_of_an_unknown_architecture_means_nothing) {
    for (uint32_t n = 0; n < 500; ++n) {
        BOOST_TEST(!known_call(AUDIT_ARCH_S390X, n).has_value());
        BOOST_TEST(!known_call(0, n).has_value());
    }
    BOOST_TEST(!known_call(AUDIT_ARCH_X86_64, UINT32_MAX).has_value());
}

BOOST_AUTO_TEST_CASE(the_profile_is_json_that_asks_about_these_calls_and_no_other) {
    rapidjson::Document d;
    d.Parse(sg::ownership::profile("/tmp/a \"strange\\\n place/owners").c_str());
    BOOST_REQUIRE(!d.HasParseError());
    BOOST_TEST(std::string(d["listenerPath"].GetString()) == "/tmp/a \"strange\\\n place/owners");
    BOOST_TEST(std::string(d["defaultAction"].GetString()) == "SCMP_ACT_ALLOW");
    std::set<std::string> always, sometimes;
    for (const auto& rule : d["syscalls"].GetArray()) {
        BOOST_TEST(std::string(rule["action"].GetString()) == "SCMP_ACT_NOTIFY");
        for (const auto& name : rule["names"].GetArray())
            (rule.HasMember("args") ? sometimes : always).insert(name.GetString());
    }
    for (const char* name :
         {"chown", "chown32", "fchownat", "mknodat", "setresuid", "getuid", "setgroups", "capset", "lsetxattr"})
        BOOST_TEST(always.count(name) == 1u);
    BOOST_TEST(always.count("openat2") == 1u);
    BOOST_TEST(always.count("io_uring_setup") == 1u);
    for (const char* name : {"stat", "newfstatat", "statx", "read", "execve", "open", "openat", "prctl"})
        BOOST_TEST(always.count(name) == 0u);
    BOOST_TEST((sometimes == std::set<std::string>{"open", "openat", "prctl"}));
}

BOOST_AUTO_TEST_CASE(where_the_kernel_knows_owners_only_devices_and_attributes_are_asked_about) {
    rapidjson::Document d;
    d.Parse(sg::ownership::profile("/owners", {.owners = false}).c_str());
    BOOST_REQUIRE(!d.HasParseError());
    std::set<std::string> names;
    for (const auto& rule : d["syscalls"].GetArray())
        for (const auto& name : rule["names"].GetArray()) names.insert(name.GetString());
    for (const char* name : {"mknod", "mknodat", "setxattr", "lsetxattr", "fgetxattr", "listxattr", "removexattr"}) BOOST_TEST(names.count(name) == 1u);
    for (const char* name : {"chown", "fchownat", "open", "openat", "mkdir", "setresuid", "getuid", "setgroups", "capset", "prctl"}) BOOST_TEST(names.count(name) == 0u);
}

BOOST_AUTO_TEST_CASE(stat_and_its_kin_are_asked_about_where_it_is_emulated) {
    for (const bool owners : {true, false}) {
        rapidjson::Document d;
        d.Parse(sg::ownership::profile("/owners", {.owners = owners, .stat = true}).c_str());
        BOOST_REQUIRE(!d.HasParseError());
        std::set<std::string> names;
        for (const auto& rule : d["syscalls"].GetArray())
            for (const auto& name : rule["names"].GetArray()) names.insert(name.GetString());
        for (const char* name : {"stat", "lstat", "fstat", "newfstatat", "statx", "stat64", "fstatat64", "getdents64"})
            BOOST_TEST(names.count(name) == 1u);
        BOOST_TEST(names.count("chown") == (owners ? 1u : 0u));
    }
}

BOOST_AUTO_TEST_SUITE_END()
