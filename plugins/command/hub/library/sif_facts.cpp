#include "hub/library/sif_facts.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>

#include <singularity/error.hpp>

namespace hub {

using singularity::Code;
using singularity::Error;

namespace {

constexpr uint64_t header_size = 128, descriptor_size = 585, most_objects = 4096, longest_definition = 64 << 10;
constexpr int32_t type_definition = 0x4001, type_partition = 0x4004, type_signature = 0x4005;
constexpr int32_t encrypted_squashfs = 5, gocryptfs_squashfs = 6, system_partition = 2;

template <class T>
T number(const std::vector<char>& bytes, size_t at) {
    T value;
    std::memcpy(&value, bytes.data() + at, sizeof value);  // SIF is little-endian, as this machine is
    return value;
}

std::vector<char> read_at(int fd, uint64_t at, uint64_t size) {
    std::vector<char> out(size);
    for (size_t done = 0; done < out.size();) {
        const ssize_t n = ::pread(fd, out.data() + done, out.size() - done, static_cast<off_t>(at + done));
        if (n <= 0) throw Error(Code::corrupt, "the file is no whole SIF image");
        done += static_cast<size_t>(n);
    }
    return out;
}

std::string arch_of(std::string_view code) {
    static constexpr std::array<std::string_view, 13> names = {"", "386", "amd64", "arm", "arm64", "ppc64", "ppc64le", "mips", "mipsle", "mips64", "mips64le", "s390x", "riscv64"};
    if (code[0] < '0' || code[0] > '1' || code[1] < '0' || code[1] > '9') return {};
    const auto i = static_cast<size_t>((code[0] - '0') * 10 + (code[1] - '0'));
    return i < names.size() ? std::string(names[i]) : std::string();
}

}  // namespace

SifFacts sif_facts(int fd, uint64_t size) {
    if (size < header_size) throw Error(Code::corrupt, "the file is no SIF image");
    const auto header = read_at(fd, 0, header_size);
    if (std::memcmp(header.data() + 32, "SIF_MAGIC", 10) != 0) throw Error(Code::corrupt, "the file is no SIF image");
    SifFacts facts;
    facts.arch = arch_of({header.data() + 45, 2});
    const auto total = number<uint64_t>(header, 88), at = number<uint64_t>(header, 96);
    if (total > most_objects || at > size || total * descriptor_size > size - at) throw Error(Code::corrupt, "the table of the SIF image lies outside of the file");
    const auto table = read_at(fd, at, total * descriptor_size);
    for (uint64_t i = 0; i < total; ++i) {
        const size_t d = i * descriptor_size, extra = d + 201;
        if (table[d + 4] == 0) continue;
        const auto type = number<int32_t>(table, d);
        const auto offset = number<uint64_t>(table, d + 17), length = number<uint64_t>(table, d + 25);
        if (offset > size || length > size - offset) throw Error(Code::corrupt, "an object of the SIF image lies outside of the file");
        if (type == type_definition && facts.definition.empty()) {
            const auto text = read_at(fd, offset, std::min(length, longest_definition));
            facts.definition.assign(text.data(), ::strnlen(text.data(), text.size()));
        } else if (type == type_partition) {
            const auto filesystem = number<int32_t>(table, extra), part = number<int32_t>(table, extra + 4);
            facts.encrypted = facts.encrypted || filesystem == encrypted_squashfs || filesystem == gocryptfs_squashfs;
            if (part == system_partition)
                if (const auto arch = arch_of({table.data() + extra + 8, 2}); !arch.empty()) facts.arch = arch;
        } else if (type == type_signature) {
            facts.is_signed = true;
            std::string print;
            bool some = false;
            static constexpr char digits[] = "0123456789ABCDEF";
            for (size_t k = 0; k < 20; ++k) {
                const auto b = static_cast<unsigned char>(table[extra + 4 + k]);
                some = some || b != 0;
                print += {digits[b >> 4], digits[b & 15]};
            }
            if (some && std::find(facts.fingerprints.begin(), facts.fingerprints.end(), print) == facts.fingerprints.end()) facts.fingerprints.push_back(print);
        }
    }
    return facts;
}

}  // namespace hub
