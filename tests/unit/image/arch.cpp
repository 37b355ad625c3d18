#include "image/arch.hpp"

#include <boost/test/unit_test.hpp>

#include "image/time.hpp"

BOOST_AUTO_TEST_SUITE(architectures)

BOOST_AUTO_TEST_CASE(kernel_names_become_the_names_of_images) {
    BOOST_TEST(sg::go_arch("x86_64") == "amd64");
    BOOST_TEST(sg::go_arch("i686") == "386");
    BOOST_TEST(sg::go_arch("aarch64") == "arm64");
    BOOST_TEST(sg::go_arch("armv7l") == "arm");
    BOOST_TEST(sg::go_arch("armv6l") == "arm");
    BOOST_TEST(sg::go_arch("loongarch64") == "loong64");
    BOOST_TEST(sg::go_arch("ppc64le") == "ppc64le");
    BOOST_TEST(sg::go_arch("s390x") == "s390x");
    BOOST_TEST(sg::go_arch("riscv64") == "riscv64");
    BOOST_TEST(sg::go_arch("vax") == "vax");
    BOOST_TEST(sg::uname_machine("amd64") == "x86_64");
    BOOST_TEST(sg::uname_machine("386") == "i686");
}

BOOST_AUTO_TEST_CASE(architectures_are_wished_for_as_docker_apptainer_and_the_kernel_write_them) {
    const auto read = [](const char* text) -> std::string {
        const auto wish = sg::parse_arch(text);
        return wish ? wish->arch + "|" + wish->variant : "none";
    };
    BOOST_TEST(read("arm64") == "arm64|");
    BOOST_TEST(read("arm/v7") == "arm|v7");
    BOOST_TEST(read("linux/arm/v6") == "arm|v6");
    BOOST_TEST(read("linux/amd64") == "amd64|");
    BOOST_TEST(read("amd64/v3") == "amd64|v3");
    BOOST_TEST(read("arm32v5") == "arm|v5");
    BOOST_TEST(read("arm64v8") == "arm64|v8");
    BOOST_TEST(read("x86_64") == "amd64|");
    BOOST_TEST(read("aarch64") == "arm64|");
    BOOST_TEST(read("armv7l") == "arm|v7");
    for (const char* text : {"amd46", "", "/v7", "arm/", "arm/v7/x", "windows/amd64", "arm/V7", "arm32v", "linux/"}) BOOST_TEST(read(text) == "none", text);
    BOOST_TEST(!sg::host_arch().empty());
}

BOOST_AUTO_TEST_CASE(a_variant_is_joined_to_its_architecture) {
    BOOST_TEST(sg::arch_with_variant("arm", "7") == "arm/v7");
    BOOST_TEST(sg::arch_with_variant("arm", "v6") == "arm/v6");
    BOOST_TEST(sg::arch_with_variant("arm64", "") == "arm64");
    BOOST_TEST(sg::arch_with_variant("", "").empty());
    BOOST_TEST(sg::arch_with_variant("", "v2") == sg::host_arch() + "/v2");
    BOOST_TEST(!sg::parse_arch(sg::arch_with_variant("arm/v7", "6")));
}

BOOST_AUTO_TEST_CASE(the_variant_of_an_arm_machine_comes_from_cpuinfo) {
    BOOST_TEST(sg::variant_from_cpuinfo("arm", "processor\t: 0\nCPU architecture: 7\n") == "v7");
    BOOST_TEST(sg::variant_from_cpuinfo("arm", "CPU architecture\t: 8\n") == "v8");
    BOOST_TEST(sg::variant_from_cpuinfo("arm", "CPU architecture: 5TEJ\n") == "v5");
    BOOST_TEST(sg::variant_from_cpuinfo("arm", "CPU architecture: 6TEJ\n") == "v6");
    BOOST_TEST(sg::variant_from_cpuinfo(
                   "arm", "model name\t: ARMv6-compatible processor rev 7 (v6l)\nCPU architecture: 7\n") == "v6");
    BOOST_TEST(sg::variant_from_cpuinfo("arm64", "") == "v8");
    BOOST_TEST(sg::variant_from_cpuinfo("amd64", "CPU architecture: 8\n").empty());
    BOOST_TEST(sg::variant_from_cpuinfo("arm", "").empty());
    BOOST_TEST(sg::variant_from_cpuinfo("arm", "CPU architecture").empty());
}

BOOST_AUTO_TEST_CASE(times_of_image_documents_are_read) {
    BOOST_TEST(*sg::parse_rfc3339("1970-01-01T00:00:00Z") == 0);
    BOOST_TEST(*sg::parse_rfc3339("2024-02-29T12:34:56.123456789Z") == 1709210096);
    BOOST_TEST(*sg::parse_rfc3339("2024-02-29T14:34:56+02:00") == 1709210096);
    BOOST_TEST(*sg::parse_rfc3339("2024-02-29T10:04:56-02:30") == 1709210096);
    BOOST_TEST(*sg::parse_rfc3339("0001-01-01T00:00:00Z") == -62135596800);
    for (const char* bad : {"", "2024", "2023-02-29T00:00:00Z", "2024-13-01T00:00:00Z", "2024-01-01T24:00:00Z",
                            "2024-01-01T00:00:00", "2024-01-01T00:00:00Zx", "2024-01-01T00:00:00.Z", "2024-1-1T0:0:0Z",
                            "2024-01-01T00:00:00+2", "0000-01-01T00:00:00Z"})
        BOOST_TEST(!sg::parse_rfc3339(bad), bad);
}

BOOST_AUTO_TEST_SUITE_END()
