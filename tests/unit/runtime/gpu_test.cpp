#include <sys/stat.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>

#include "base/error.hpp"
#include "runtime/cdi.hpp"
#include "runtime/gpu.hpp"
#include "runtime/library_cache.hpp"
#include "scratch.hpp"

using namespace sg;
using namespace sg::runtime;

BOOST_AUTO_TEST_SUITE(gpu)

namespace {

// A cache as ldconfig writes it (the present format alone).
std::string cache_of(const std::vector<std::pair<std::string, std::string>>& libraries) {
    const auto word = [](uint32_t n) { return std::string(reinterpret_cast<const char*>(&n), 4); };
    std::string texts, entries;
    const uint32_t base = 48 + 24 * static_cast<uint32_t>(libraries.size());
    for (const auto& [name, path] : libraries) {
        const auto key = base + static_cast<uint32_t>(texts.size());
        texts += name + '\0';
        const auto value = base + static_cast<uint32_t>(texts.size());
        texts += path + '\0';
        entries += word(0x0303) + word(key) + word(value) + word(0) + std::string(8, '\0');
    }
    return "glibc-ld.so.cache1.1" + word(static_cast<uint32_t>(libraries.size())) + word(static_cast<uint32_t>(texts.size())) + std::string(20, '\0') + entries + texts;
}

// The head of an ELF file as this program's, or of another word size.
std::string elf(bool own) {
    std::ifstream self("/proc/self/exe", std::ios::binary);
    std::string head(64, '\0');
    self.read(head.data(), 64);
    if (!own) head[4] = head[4] == 2 ? 1 : 2;
    return head;
}

bool has(const std::vector<std::string>& list, const std::string& text) { return std::find(list.begin(), list.end(), text) != list.end(); }

}  // namespace

BOOST_AUTO_TEST_CASE(the_cache_of_this_machine_is_read) {
    if (access("/etc/ld.so.cache", R_OK) != 0) return;
    const auto all = read_library_cache("/etc/ld.so.cache");
    BOOST_TEST(!all.empty());
    bool libc = false;
    for (const auto& l : all) libc = libc || (l.name == "libc.so.6" && access(l.path.c_str(), F_OK) == 0);
    BOOST_TEST(libc);
}

BOOST_AUTO_TEST_CASE(a_cache_that_points_outside_of_itself_is_damage) {
    const std::string good = cache_of({{"libcuda.so.1", "/x/libcuda.so.1"}});
    BOOST_TEST(parse_library_cache(good, "c").at(0).path == "/x/libcuda.so.1");
    for (size_t cut = 0; cut < good.size(); ++cut) BOOST_CHECK_THROW(parse_library_cache(good.substr(0, cut), "c"), Error);
    std::string many = good;
    many[20] = '\xff', many[23] = '\xff';
    BOOST_CHECK_THROW(parse_library_cache(many, "c"), Error);
    std::string far = good;
    far[48 + 7] = '\x7f';
    BOOST_CHECK_THROW(parse_library_cache(far, "c"), Error);
    // The older format in front of it.
    BOOST_TEST(parse_library_cache(std::string("ld.so-1.7.0\0\0\0\0\0", 16) + good, "c").size() == 1u);
    BOOST_CHECK_THROW(parse_library_cache("ld.so-1.7.0\0\xff\xff\xff\xff", "c"), Error);
}

BOOST_AUTO_TEST_CASE(libraries_are_found_by_the_beginning_of_their_names_and_only_those_of_this_machine) {
    const Scratch s;
    for (const char* name : {"lib/libcuda.so.1", "lib/libnvidia-ml.so.1", "lib/libother.so"}) s.write(name, elf(true));
    s.write("lib32/libcuda.so.1", elf(false));
    s.write("lib32/libonly32.so.1", elf(false));
    GpuHost host;
    host.library_cache = s.write("cache", cache_of({{"libcuda.so.1", s / "lib32/libcuda.so.1"},
                                                    {"libcuda.so.1", s / "lib/libcuda.so.1"},
                                                    {"libnvidia-ml.so.1", s / "lib/libnvidia-ml.so.1"},
                                                    {"libonly32.so.1", s / "lib32/libonly32.so.1"},
                                                    {"libother.so", s / "lib/libother.so"}}));
    host.outer_libraries = s / "none";
    HostFiles found;
    find_gpu_files({"libcuda.so", "libnvidia-ml.so", "libonly32.so", "libabsent.so"}, host, found);
    BOOST_TEST(found.libraries.size() == 2u);
    BOOST_TEST(has(found.libraries, s / "lib/libcuda.so.1"));
    BOOST_TEST(has(found.libraries, s / "lib/libnvidia-ml.so.1"));
}

#if defined(__x86_64__) || defined(__aarch64__)
BOOST_AUTO_TEST_CASE(libraries_of_32_bits_come_when_they_are_asked_for_to_a_directory_of_their_own) {
    const Scratch s;
    std::string narrow(64, '\0');
    narrow.replace(0, 7, "\177ELF\1\1\1");
#if defined(__x86_64__)
    narrow[18] = 3;  // EM_386
#else
    narrow[18] = 40;  // EM_ARM
#endif
    s.write("lib/libcuda.so.1", elf(true));
    s.write("lib32/libcuda.so.1", narrow);
    s.write("lib32/libcut.so.1", narrow.substr(0, 30));
    narrow[18] = 8;  // of another machine
    s.write("lib32/libmips.so.1", narrow);
    GpuHost host;
    host.library_cache = s.write("cache", cache_of({{"libcuda.so.1", s / "lib32/libcuda.so.1"},
                                                    {"libcuda.so.1", s / "lib/libcuda.so.1"},
                                                    {"libmips.so.1", s / "lib32/libmips.so.1"},
                                                    {"libcut.so.1", s / "lib32/libcut.so.1"}}));
    host.outer_libraries = s / "none";
    const std::vector<std::string> entries = {"libcuda.so", "libmips.so", "libcut.so"};
    HostFiles without, with;
    find_gpu_files(entries, host, without);
    BOOST_TEST(without.files.empty());
    find_gpu_files(entries, host, with, true);
    BOOST_TEST(with.libraries == without.libraries, boost::test_tools::per_element());
    BOOST_REQUIRE(with.files.size() == 1u);
    BOOST_TEST(with.files[0].source == s / "lib32/libcuda.so.1");
    BOOST_TEST(with.files[0].destination == "/.singularity.d/libs32/libcuda.so.1");
    BOOST_TEST(with.files[0].read_only);
}
#endif

BOOST_AUTO_TEST_CASE(an_absolute_library_brings_its_links) {
    const Scratch s;
    s.write("d/libx.so.1.2", elf(true));
    std::filesystem::create_symlink("libx.so.1.2", s / "d/libx.so.1");
    std::filesystem::create_symlink("libx.so.1", s / "d/libx.so");
    s.write("d/liby.so", elf(true));
    GpuHost host;
    host.outer_libraries = s / "none";
    HostFiles found;
    find_gpu_files({s / "d/libx.so.1.2"}, host, found);
    BOOST_TEST(found.libraries.size() == 3u);
    BOOST_TEST(!has(found.libraries, s / "d/liby.so"));
}

BOOST_AUTO_TEST_CASE(programs_and_files_have_their_places) {
    const Scratch s;
    chmod(s.write("bin/nvidia-smi", "#!/bin/sh\n").c_str(), 0755);
    s.write("share/10_nvidia.json", "{}");
    GpuHost host;
    host.path = "relative:" + (s / "bin");
    host.library_cache = s / "none";
    host.outer_libraries = s / "none";
    HostFiles found;
    find_gpu_files({"nvidia-smi", "nvidia-absent", s / "share/10_nvidia.json", "/no/such/file"}, host, found);
    BOOST_REQUIRE(found.files.size() == 2u);
    BOOST_TEST(found.files[0].source == s / "bin/nvidia-smi");
    BOOST_TEST(found.files[0].destination == "/usr/bin/nvidia-smi");
    BOOST_TEST(found.files[1].destination == s / "share/10_nvidia.json");
}

BOOST_AUTO_TEST_CASE(visible_devices_are_numbers_or_uuids) {
    const Scratch s;
    for (const char* name : {"dev/nvidia0", "dev/nvidia1", "dev/nvidiactl", "dev/nvidia-uvm", "dev/sda"}) s.write(name, "");
    s.write("drivers/0000:01:00.0/information", "Model: \t\t A100\nGPU UUID: \t GPU-aaaa-1\nDevice Minor: \t 1\n");
    GpuHost host;
    host.devices = s / "dev";
    host.drivers = s / "drivers";
    host.sockets = s / "run";
    const auto shown = [&](const std::string& visible) {
        HostFiles found;
        find_nvidia_devices(visible, host, found);
        std::string out;
        for (const auto& d : found.devices) out += d.substr(d.rfind('/') + 1) + " ";
        return out + (found.warnings.empty() ? "" : "!");
    };
    BOOST_TEST(shown("") == "nvidia-uvm nvidia0 nvidia1 nvidiactl ");
    BOOST_TEST(shown("all") == shown(""));
    BOOST_TEST(shown("none") == "nvidia-uvm nvidiactl ");
    BOOST_TEST(shown("0") == "nvidia-uvm nvidia0 nvidiactl ");
    BOOST_TEST(shown("GPU-aaaa-1") == "nvidia-uvm nvidia1 nvidiactl ");
    BOOST_TEST(shown("GPU-zzzz") == "nvidia-uvm nvidiactl !");
}

BOOST_AUTO_TEST_CASE(cdi_devices_are_read_from_json_and_yaml) {
    const Scratch s;
    s.write("cdi/a.json", R"({"cdiVersion":"0.6.0","kind":"vendor.com/net","devices":[{"name":"eth","containerEdits":{"deviceNodes":[{"path":"/dev/net0"}],"env":["NET=eth"]}}],
        "containerEdits":{"env":["COMMON=1"],"mounts":[{"hostPath":"/etc","containerPath":"/vendor/etc","options":["ro","bind"]}]}})");
    s.write("cdi/b.yaml", "cdiVersion: 0.6.0\nkind: vendor.com/gpu\ndevices:\n- name: '0'\n  containerEdits:\n    deviceNodes:\n    - path: /dev/gpu0\n      hostPath: /dev/null\n    hooks:\n    - {hookName: createContainer, path: /bin/x}\n");
    HostFiles found;
    find_cdi_devices({"vendor.com/net=eth", "vendor.com/gpu=0"}, {s / "cdi"}, found);
    BOOST_TEST(has(found.devices, "/dev/net0"));
    BOOST_REQUIRE(found.files.size() == 2u);
    BOOST_TEST(found.files[0].destination == "/vendor/etc");
    BOOST_TEST(found.files[0].directory);
    BOOST_TEST(found.files[0].read_only);
    BOOST_TEST(found.files[1].source == "/dev/null");
    BOOST_TEST(found.files[1].destination == "/dev/gpu0");
    BOOST_TEST(found.environment.size() == 2u);
    BOOST_TEST(found.warnings.size() == 1u);  // hooks
    const auto code = [&](const std::string& device) {
        HostFiles to;
        try {
            find_cdi_devices({device}, {s / "cdi"}, to);
        } catch (const Error& e) {
            return e.code();
        }
        return Code::internal;
    };
    BOOST_TEST((code("vendor.com/gpu=7") == Code::not_found));
    BOOST_TEST((code("gpu0") == Code::usage));
    s.write("bad/c.yaml", "kind: [");
    s.write("bad/d.json", R"({"kind":"v.com/x","devices":[{"name":"1","containerEdits":{"deviceNodes":[{"path":"relative"}]}}]})");
    HostFiles to;
    BOOST_CHECK_THROW(find_cdi_devices({"v.com/x=1"}, {s / "bad"}, to), Error);
    BOOST_TEST(!to.warnings.empty());
}

BOOST_AUTO_TEST_SUITE_END()
