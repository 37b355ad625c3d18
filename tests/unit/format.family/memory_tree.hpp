// SPDX-License-Identifier: BSD-3-Clause
// memory_tree.hpp: trees for tests and benchmarks of squashfs: made by hand or taken from a directory, and streams
// that feed a writer. Linux only.
#pragma once
#include <singularity/format.hpp>

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace testing {

// Gives its bytes in slices of `piece`.
class BytesStream final : public singularity::Stream {
public:
    explicit BytesStream(std::string bytes, size_t piece = size_t{1} << 20) : bytes_(std::move(bytes)), piece_(piece) {}
    singularity::Slice next() override;

private:
    std::string bytes_;
    size_t piece_, at_ = 0;
};

// Gives slices as they are told: a negative size is a hole of that many bytes.
class PiecesStream final : public singularity::Stream {
public:
    struct Piece {
        int64_t size;
        char fill;
    };
    explicit PiecesStream(std::vector<Piece> pieces) : pieces_(std::move(pieces)) {}
    singularity::Slice next() override;

private:
    std::vector<Piece> pieces_;
    size_t at_ = 0;
    std::string now_;
};

class FileStream final : public singularity::Stream {
public:
    explicit FileStream(const std::string& path);
    ~FileStream() override;
    singularity::Slice next() override;

private:
    int fd_;
};

class MemoryTree final : public singularity::Root {
public:
    struct Node {
        sg_attr attr{};
        std::map<std::string, uint64_t> children;
        std::string target;
        std::vector<std::pair<std::string, std::string>> xattrs;
    };

    MemoryTree();

    // Of "a/b": parents must be there. The returned node may be changed.
    Node& add(const std::string& path, uint32_t mode);
    Node& file(const std::string& path, uint64_t size, uint64_t content, uint32_t mode = 0100644);
    void link(const std::string& path, const std::string& to);  // a hard link
    Node& at(const std::string& path);
    // Every entry of a directory of this machine; `store` gives the content id of each regular file once.
    template <class Store>
    void take(const std::string& directory, Store&& store) {
        scan(directory, "", [&](const std::string& path, uint64_t size) { return store(path, size); });
    }

    singularity::ForeignRoot foreign();

    uint64_t root() override { return 0; }
    sg_attr stat(uint64_t node) override { return nodes_[node].attr; }
    uint64_t lookup(uint64_t dir, std::string_view name) override;
    void list(uint64_t dir, uint64_t cursor, sg_visit_entry visit, void* arg) override;
    std::string link_target(uint64_t node) override { return nodes_[node].target; }
    void xattrs(uint64_t node, sg_visit_xattr visit, void* arg) override;
    uint64_t read(uint64_t, uint64_t, void*, uint64_t) override { return 0; }
    singularity::Slice block(uint64_t, uint64_t) override { return {}; }
    void totals(uint64_t& bytes, uint64_t& inodes, uint32_t& block_size) override { bytes = inodes = block_size = 0; }

private:
    void scan(const std::string& directory, const std::string& prefix, const std::function<uint64_t(const std::string&, uint64_t)>& store);

    std::vector<Node> nodes_;
    std::map<std::pair<uint64_t, uint64_t>, std::string> seen_;
    singularity::detail::RootBox box_{this};
};

// A reader as a foreign root.
class Foreign {
public:
    explicit Foreign(singularity::Root& root);
    singularity::ForeignRoot operator*() const { return root_; }
    const singularity::ForeignRoot* operator->() const { return &root_; }

private:
    singularity::detail::RootBox box_;
    singularity::ForeignRoot root_;
};

// A temporary file without a name.
class TemporaryFile {
public:
    TemporaryFile();
    ~TemporaryFile();
    TemporaryFile(const TemporaryFile&) = delete;
    int fd() const { return fd_; }
    uint64_t size() const;
    std::string bytes(uint64_t offset = 0, uint64_t size = UINT64_MAX) const;
    std::string path() const;  // under /proc

private:
    int fd_;
};

// An empty directory that is removed with all it holds.
class TemporaryDirectory {
public:
    TemporaryDirectory();
    ~TemporaryDirectory();
    TemporaryDirectory(const TemporaryDirectory&) = delete;
    const std::string& path() const { return path_; }

private:
    std::string path_;
};

bool have_tool(const char* name);      // in PATH
int run(const std::string& shell_line);  // exit code; output goes to nowhere

// Every difference between a root and a directory of this machine, as lines of text; "" when there is none.
std::string differences(const singularity::ForeignRoot& root, const std::string& directory);

// Noise that does not compress, the same for the same seed.
std::string noise(uint32_t seed, size_t size);
// Text that does.
std::string text(uint32_t seed, size_t size);

}  // namespace testing
