#include "object.hpp"

#include <elf.h>
#include <link.h>

#include <cstring>
#include <fstream>
#include <iterator>

namespace conformance {

namespace {

using Header = ElfW(Ehdr);
using Section = ElfW(Shdr);
using Symbol = ElfW(Sym);
using Dynamic = ElfW(Dyn);

constexpr unsigned char own_class = sizeof(void*) == 8 ? ELFCLASS64 : ELFCLASS32;

struct Bytes {
    std::string data;
    // The i-th T at `offset`, zeros when that lies outside.
    template <class T>
    T at(uint64_t offset, uint64_t i = 0) const {
        T out{};
        const uint64_t from = offset + i * sizeof(T);
        if (from <= data.size() && sizeof(T) <= data.size() - from) std::memcpy(&out, data.data() + from, sizeof(T));
        return out;
    }
    std::string text(uint64_t table, uint64_t size, uint64_t offset) const {
        if (offset >= size || table > data.size() || size > data.size() - table) return {};
        const char* from = data.data() + table + offset;
        return {from, strnlen(from, static_cast<size_t>(size - offset))};
    }
};

}  // namespace

ObjectFile ObjectFile::read(const std::string& path) {
    ObjectFile o;
    std::ifstream in(path, std::ios::binary);
    const Bytes b{{std::istreambuf_iterator<char>(in), {}}};
    const auto head = b.at<Header>(0);
    if (!in || b.data.size() < sizeof head || std::memcmp(head.e_ident, ELFMAG, SELFMAG) != 0)
        o.defect = "is no ELF object";
    else if (head.e_ident[EI_CLASS] != own_class || head.e_type != ET_DYN)
        o.defect = "is no shared object of this machine";
    if (!o.defect.empty()) return o;
    for (unsigned i = 0; i < head.e_shnum; ++i) {
        const auto section = b.at<Section>(head.e_shoff, i);
        if (section.sh_type != SHT_DYNSYM && section.sh_type != SHT_DYNAMIC) continue;
        if (section.sh_size > b.data.size()) continue;
        const auto names = b.at<Section>(head.e_shoff, section.sh_link);
        if (section.sh_type == SHT_DYNSYM) {
            for (uint64_t n = 1; n < section.sh_size / sizeof(Symbol); ++n) {
                const auto s = b.at<Symbol>(section.sh_offset, n);
                const unsigned binding = ELF64_ST_BIND(s.st_info), visibility = ELF64_ST_VISIBILITY(s.st_other);
                if (s.st_shndx == SHN_UNDEF || binding == STB_LOCAL || visibility == STV_HIDDEN ||
                    visibility == STV_INTERNAL)
                    continue;
                if (s.st_shndx == SHN_ABS && s.st_size == 0) continue;  // the name of a symbol version
                if (binding == STB_GNU_UNIQUE) o.unique = true;
                o.exported.push_back(b.text(names.sh_offset, names.sh_size, s.st_name));
            }
        } else {
            for (uint64_t n = 0; n < section.sh_size / sizeof(Dynamic); ++n) {
                const auto d = b.at<Dynamic>(section.sh_offset, n);
                if (d.d_tag == DT_NEEDED) o.needed.push_back(b.text(names.sh_offset, names.sh_size, d.d_un.d_val));
            }
        }
    }
    return o;
}

std::string ObjectFile::sanitizer() const {
    for (const auto& n : needed)
        if (n.starts_with("libasan.so") || n.starts_with("libtsan.so")) return n;
    return {};
}

}  // namespace conformance
