// A writer that keeps contents, trees as text, shells to run scripts with, and a small root file system in memory.
#pragma once
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "image/config.hpp"
#include "metadata/oci.hpp"

namespace metadata_test {

// An sg_writer that keeps what it gets.
class Recorder {
public:
    Recorder();
    ~Recorder();
    sg::ImageWriter& writer() { return writer_; }
    const std::string& bytes(uint64_t content) const { return contents_.at(content); }
    uint64_t add(std::string bytes);

private:
    struct Calls;
    std::vector<std::string> contents_;
    sg::ImageWriter writer_;
};

// What a file of the tree holds; "<none>" when there is none.
std::string text_of(const sg::Tree& tree, const Recorder& recorder, const std::string& path);
void put(sg::Tree& tree, Recorder& recorder, const std::string& path, std::string bytes, uint32_t mode = 0644);

// The tree and the contents of a recorder as a root file system that can be read.
class Readable final : public singularity::Root {
public:
    Readable(sg::Tree& tree, const Recorder& recorder);
    singularity::ForeignRoot foreign();
    uint64_t root() override { return tree_.root(); }
    sg_attr stat(uint64_t node) override { return tree_.stat(node); }
    uint64_t lookup(uint64_t dir, std::string_view name) override { return tree_.lookup(dir, name); }
    void list(uint64_t dir, uint64_t cursor, sg_visit_entry visit, void* arg) override;
    std::string link_target(uint64_t node) override { return tree_.link_target(node); }
    void xattrs(uint64_t, sg_visit_xattr, void*) override {}
    uint64_t read(uint64_t node, uint64_t offset, void* data, uint64_t capacity) override;
    singularity::Slice block(uint64_t, uint64_t) override { return {}; }
    void totals(uint64_t& bytes, uint64_t& inodes, uint32_t& block_size) override { bytes = inodes = block_size = 0; }

private:
    singularity::ForeignRoot tree_;
    const Recorder& recorder_;
    singularity::detail::RootBox box_{this};
};

sg::ImageConfig config_of(std::vector<std::string> entrypoint, std::vector<std::string> cmd,
                          std::vector<std::string> env = {});
sg::BuildFacts facts_of(sg::ImageConfig config);

// Shells of this machine: sh, dash, bash, bash --posix, busybox sh; those that are missing are left out with a message.
const std::vector<std::vector<std::string>>& shells();

struct Ran {
    int status = 0;
    std::string out, error;
};
// Runs a program with exactly this environment.
Ran run(const std::vector<std::string>& argv, const std::map<std::string, std::string>& environment = {});

// A directory that vanishes.
class Folder {
public:
    Folder();
    ~Folder();
    Folder(const Folder&) = delete;
    std::string operator/(const std::string& name) const { return path_ + "/" + name; }
    const std::string& path() const { return path_; }

private:
    std::string path_;
};
void write_file(const std::string& path, std::string_view bytes, bool executable = false);

}  // namespace metadata_test
