// @NAME@: a text file whose first line is "#@NAME@". Each further line NAME=TEXT is a file in the image's root.
// It is only read; a format that `build` writes has Format::create as well (singularity/format.hpp).
#include <sys/stat.h>
#include <fstream>
#include <singularity/format.hpp>

namespace {

using namespace singularity;

// Node 0 is the root, then the files in the order of their names. Nothing changes: any thread may read.
struct Tree final : Root {
    std::map<std::string, std::string> files;
    const std::pair<const std::string, std::string>& file(uint64_t node) const {
        if (node == 0 || node > files.size()) throw Error(Code::not_found, "no such file in the image");
        return *std::next(files.begin(), static_cast<long>(node - 1));
    }
    uint64_t root() override { return 0; }
    sg_attr stat(uint64_t node) override {
        return {node ? S_IFREG | 0644u : S_IFDIR | 0755u, 0, 0, node ? 1u : 2u, 0, node ? file(node).second.size() : 0, 0, 0, node + 1, SG_NO_CONTENT};
    }
    uint64_t lookup(uint64_t dir, std::string_view name) override {
        const auto found = files.find(std::string(name));
        return dir || found == files.end() ? SG_NO_NODE : 1 + static_cast<uint64_t>(std::distance(files.begin(), found));
    }
    void list(uint64_t dir, uint64_t cursor, sg_visit_entry visit, void* arg) override {
        if (dir) throw Error(Code::invalid, file(dir).first + " is no directory");
        for (uint64_t n = cursor + 1; n > cursor && n <= files.size(); ++n)
            if (visit(arg, file(n).first.data(), file(n).first.size(), n, S_IFREG, n) != 0) return;
    }
    std::string link_target(uint64_t node) override { throw Error(Code::invalid, (node ? file(node).first : "/") + " is no link"); }
    void xattrs(uint64_t node, sg_visit_xattr, void*) override { stat(node); }
    Slice block(uint64_t node, uint64_t offset) override {
        const std::string& text = file(node).second;
        return offset < text.size() ? Slice::borrowed(text.data() + offset, text.size() - offset) : Slice();
    }
    uint64_t read(uint64_t node, uint64_t offset, void* data, uint64_t capacity) override {
        const Slice rest = block(node, offset);
        const uint64_t n = rest.size() < capacity ? rest.size() : capacity;
        for (uint64_t i = 0; i < n; ++i) static_cast<uint8_t*>(data)[i] = rest.data()[i];
        return n;
    }
    void totals(uint64_t& bytes, uint64_t& inodes, uint32_t& block_size) override { bytes = 0, inodes = files.size() + 1, block_size = 4096; }
};
struct Image final : ImageFile {
    Tree tree;
    explicit Image(const std::string& path) {
        std::ifstream in(path);
        std::string line;
        if (!std::getline(in, line) || line != "#@NAME@") throw Error(Code::corrupt, path + ": is no @NAME@ image");
        for (size_t equals; std::getline(in, line); tree.files[line.substr(0, equals)] = line.substr(equals + 1) + "\n")
            if ((equals = line.find('=')) == line.npos || equals == 0 || line[0] == '.' || line.substr(0, equals).find('/') != line.npos)
                throw Error(Code::corrupt, path + ": has a line that is not NAME=TEXT: " + line.substr(0, 60));
    }
    sg_image_info info() override { return {"@NAME@", "", 1, 0}; }
    Root& root() override { return tree; }
    sg_mount_plan mount_plan() override { throw Error(Code::unsupported, "no kernel mounts this"); }
};
struct Lines final : Format {
    int probe(const char*, bool is_directory, std::span<const uint8_t> head) override {
        return !is_directory && std::string_view(reinterpret_cast<const char*>(head.data()), head.size()).starts_with("#@NAME@\n") ? 90 : 0;
    }
    std::unique_ptr<ImageFile> open(const std::string& path, bool) override { return std::make_unique<Image>(path); }
};

}  // namespace

// clang-format off
SINGULARITY_PLUGIN(@NAME@, Lines)
