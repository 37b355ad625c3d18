#include "support.hpp"

#include <fcntl.h>
#include <openssl/evp.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "memory_tree.hpp"
#include "sif/command.hpp"

namespace sif_test {

Folder::Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "sif-test-XXXXXX").string();
    if (!::mkdtemp(name.data())) throw std::runtime_error("mkdtemp");
    path_ = name;
}
Folder::~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

std::string read_file(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    std::stringstream out;
    out << in.rdbuf();
    return out.str();
}

void write_file(const std::string& path, std::string_view bytes) {
    std::ofstream out(path, std::ios::binary | std::ios::trunc);
    out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

std::string hex(std::string_view bytes) {
    std::string out;
    char two[3];
    for (const char c : bytes) {
        std::snprintf(two, sizeof two, "%02x", static_cast<unsigned char>(c));
        out += two;
    }
    return out;
}

std::string sha256(std::string_view bytes) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    EVP_Digest(bytes.data(), bytes.size(), digest, &size, EVP_sha256(), nullptr);
    return hex({reinterpret_cast<const char*>(digest), size});
}

std::string all_of(singularity::Stream& stream) { return singularity::read_all(stream, UINT64_MAX / 2, "test"); }

std::optional<std::string> test_data() {
    const char* path = std::getenv("SINGULARITY_TEST_DATA");
    if (path && *path) return path;
    BOOST_TEST_MESSAGE("skipped: SINGULARITY_TEST_DATA names no folder of test data");
    return std::nullopt;
}

std::string sample() {
    const testing::TemporaryFile file;
    const std::array<uint8_t, 16> uuid{1, 2, 3};
    sif::write_empty(file.fd(), "sample", 1000, uuid);
    auto c = sif::Container::parse(sif::File(::dup(file.fd())), "sample", file.size());
    const auto add = [&](sif::DataType type, int32_t fs, int32_t part, std::string bytes) {
        sif::ObjectSpec spec;
        spec.descriptor.type = static_cast<int32_t>(type);
        spec.descriptor.group = sif::group_mask | 1;
        spec.descriptor.created = spec.descriptor.modified = 1000;
        if (type == sif::DataType::partition) {
            spec.descriptor.set_extra_number(0, fs);
            spec.descriptor.set_extra_number(4, part);
            spec.descriptor.extra[8] = '0', spec.descriptor.extra[9] = '2';
        }
        testing::BytesStream data(std::move(bytes));
        c.add(spec, data, 1000, {});
    };
    add(sif::DataType::deffile, 0, 0, "bootstrap: scratch\n");
    add(sif::DataType::partition, sif::fs::raw, sif::part::data, "abcd");
    add(sif::DataType::partition, sif::fs::squashfs, sif::part::primary, std::string(4096, 'x'));
    return file.bytes();
}

Ran run_sif(const std::string& verb, std::vector<std::string> arguments,
            std::vector<std::pair<std::string, std::string>> options, const std::string& directory) {
    const testing::TemporaryFile file;
    const int saved = ::dup(STDOUT_FILENO);
    ::dup2(file.fd(), STDOUT_FILENO);
    Ran ran;
    try {
        ran.code = ::sif::SifCommand().run(
            {"sif" + (verb.empty() ? "" : " " + verb), directory, std::move(options), std::move(arguments)},
            singularity::Host());
    } catch (const singularity::Error& e) {
        ran.code = static_cast<int>(e.code());
        ran.error = e.message();
        ran.hint = e.hint();
    }
    ::dup2(saved, STDOUT_FILENO);
    ::close(saved);
    ran.out = file.bytes();
    return ran;
}

}  // namespace sif_test
