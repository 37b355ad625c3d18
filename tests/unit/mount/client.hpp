// The kernel's side of the FUSE protocol over a socket pair, with a server at the other end.
#pragma once
#include <linux/fuse.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "fake_root.hpp"
#include "mount/server.hpp"
#include "mount/view.hpp"

namespace fake {

struct Reply {
    int32_t error = 0;
    std::string body;
    template <class T>
    T as(size_t at = 0) const {
        if (body.size() < at + sizeof(T)) throw std::runtime_error("short reply");
        T value;
        std::memcpy(&value, body.data() + at, sizeof value);
        return value;
    }
};

struct Stored {  // a FUSE_NOTIFY_STORE
    uint64_t id, offset;
    std::string data;
};

struct Listed {
    std::string name;
    uint64_t ino, offset, id;
    uint32_t type;
};

class Client {
public:
    // With `until` the server first answers alone, until that descriptor becomes readable.
    explicit Client(Root& root, sg_mount_view view = {}, int until = -1) : Client(root.table(), root, view, until) {}
    Client(const sg_root_v1* table, Root& root, sg_mount_view view = {}, int until = -1) : view_(table, root.handle(), view) {
        int pair[2];
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) throw std::runtime_error("socketpair");
        fd_ = pair[0];
        theirs_ = pair[1];
        server_ = std::make_unique<sg::Server>(theirs_, view_);
        alone_ = until >= 0;
        thread_ = std::thread([this, until] {
            if (until >= 0) server_->serve_until(until);
            alone_ = false;
            alone_.notify_all();
            server_->serve();
        });
    }
    bool alone() const { return alone_; }
    void until_not_alone() const { alone_.wait(true); }
    ~Client() { end(); }
    void end() {
        if (fd_ < 0) return;
        shutdown(fd_, SHUT_RDWR);
        thread_.join();
        server_.reset();
        close(fd_);
        close(theirs_);
        fd_ = -1;
    }

    // Sends without waiting; `cut` bytes are left off the end.
    void send(uint32_t opcode, uint64_t id, std::string_view body, size_t cut = 0) {
        fuse_in_header h{};
        h.len = static_cast<uint32_t>(sizeof h + body.size());
        h.opcode = opcode;
        h.unique = ++unique_;
        h.nodeid = id;
        std::string all(reinterpret_cast<const char*>(&h), sizeof h);
        all += body;
        all.resize(all.size() - cut);
        if (::send(fd_, all.data(), all.size(), 0) < 0) throw std::runtime_error("send");
    }
    Reply ask(uint32_t opcode, uint64_t id, std::string_view body = {}, size_t cut = 0) {
        send(opcode, id, body, cut);
        for (;;) {
            const std::string m = receive();
            fuse_out_header h;
            std::memcpy(&h, m.data(), sizeof h);
            if (h.len != m.size()) throw std::runtime_error("wrong length");
            if (h.unique == 0) {
                keep(m);
                continue;
            }
            if (h.unique != unique_) throw std::runtime_error("another request's answer");
            return {h.error, m.substr(sizeof h)};
        }
    }
    template <class T>
    Reply ask_with(uint32_t opcode, uint64_t id, const T& body, std::string_view more = {}) {
        std::string all(reinterpret_cast<const char*>(&body), sizeof body);
        all += more;
        return ask(opcode, id, all);
    }
    // Waits until that many neighbours came.
    std::vector<Stored>& stored(size_t count) {
        while (stored_.size() < count) keep(receive());
        return stored_;
    }

    Reply init(uint32_t flags = ~0u, uint32_t major = 7, uint32_t minor = 38) {
        fuse_init_in in{};
        in.major = major;
        in.minor = minor;
        in.max_readahead = 131072;
        in.flags = flags;
        return ask_with(FUSE_INIT, 0, in);
    }
    Reply lookup(uint64_t dir, const std::string& name) { return ask(FUSE_LOOKUP, dir, std::string(name) + '\0'); }
    uint64_t id(uint64_t dir, const std::string& name) { return lookup(dir, name).as<fuse_entry_out>().nodeid; }
    fuse_attr attr(uint64_t id) { return ask_with(FUSE_GETATTR, id, fuse_getattr_in{}).as<fuse_attr_out>().attr; }
    Reply read(uint64_t id, uint64_t offset, uint32_t size) {
        fuse_read_in in{};
        in.offset = offset;
        in.size = size;
        return ask_with(FUSE_READ, id, in);
    }
    Reply readdir(uint64_t id, uint64_t offset, uint32_t size, bool plus) {
        fuse_read_in in{};
        in.offset = offset;
        in.size = size;
        return ask_with(plus ? FUSE_READDIRPLUS : FUSE_READDIR, id, in);
    }
    // The whole directory in parts of `size` bytes.
    std::vector<Listed> list(uint64_t id, uint32_t size, bool plus) {
        std::vector<Listed> out;
        for (uint64_t offset = 0;;) {
            const Reply r = readdir(id, offset, size, plus);
            if (r.error) throw std::runtime_error("readdir");
            if (r.body.empty()) return out;
            for (size_t at = 0; at < r.body.size();) {
                Listed e{};
                if (plus) {
                    e.id = r.as<fuse_entry_out>(at).nodeid;
                    at += sizeof(fuse_entry_out);
                }
                const auto d = r.as<fuse_dirent>(at);
                e.name = r.body.substr(at + FUSE_NAME_OFFSET, d.namelen);
                e.ino = d.ino;
                e.offset = d.off;
                e.type = d.type;
                at += FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET + d.namelen);
                offset = d.off;
                out.push_back(e);
            }
        }
    }
    std::string names(uint64_t id, uint32_t size = 4096, bool plus = false) {
        std::string out;
        for (const auto& e : list(id, size, plus)) out += e.name + " ";
        return out;
    }

private:
    std::string receive() {
        std::string m(1 << 18, '\0');
        const ssize_t n = recv(fd_, m.data(), m.size(), 0);
        if (n < static_cast<ssize_t>(sizeof(fuse_out_header))) throw std::runtime_error("no answer");
        m.resize(static_cast<size_t>(n));
        return m;
    }
    void keep(const std::string& m) {
        fuse_notify_store_out s;
        std::memcpy(&s, m.data() + sizeof(fuse_out_header), sizeof s);
        stored_.push_back({s.nodeid, s.offset, m.substr(sizeof(fuse_out_header) + sizeof s)});
    }

    sg::View view_;
    int fd_, theirs_;
    std::unique_ptr<sg::Server> server_;
    std::atomic<bool> alone_{false};
    std::thread thread_;
    uint64_t unique_ = 0;
    std::vector<Stored> stored_;
};

}  // namespace fake
