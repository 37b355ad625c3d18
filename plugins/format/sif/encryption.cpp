#include "sif/encryption.hpp"

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <cstdlib>
#include <cstring>
#include <family/squashfs_reader.hpp>
#include <family/squashfs_writer.hpp>
#include <map>
#include <mutex>

#include "sif/cipher/cipher.h"

namespace sif {
namespace {

using singularity::Code;
using singularity::Credentials;
using singularity::Error;
using singularity::Host;

constexpr const char* conf_name = "gocryptfs.conf";
constexpr const char* image_name = "squashfs-image";
constexpr size_t longest_conf = 64 << 10, longest_message = 64 << 10, longest_pem = 64 << 10;
// Without holes that a start would decrypt for nothing; each step is a few squashfs blocks at most.
constexpr uint64_t blocks_at_once = 32;

// The object with libcrypto, loaded when an encrypted image turns up.
const sif_cipher_v1& cipher() {
    static const sif_cipher_v1* const table = [] {
        Dl_info here{};
        std::string path =
            ::dladdr(reinterpret_cast<const void*>(&cipher), &here) != 0 && here.dli_fname ? here.dli_fname : "";
        path = path.substr(0, path.rfind('/') + 1) + "sif-cipher.so";
        void* handle = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
        const auto entry = handle ? reinterpret_cast<sif_cipher_fn>(::dlsym(handle, SIF_CIPHER_ENTRY)) : nullptr;
        if (!entry) {
            const char* why = ::dlerror();
            throw Error(Code::unsupported,
                        "cannot load " + path + ", which decrypts images: " + (why ? why : "it has no entry"),
                        "This installation is incomplete: install it again.");
        }
        return entry();
    }();
    return *table;
}

struct KeyCloser {
    void operator()(sif_key* key) const { cipher().close(key); }
};
using Key = std::unique_ptr<sif_key, KeyCloser>;

// Overwritten at its end.
struct Secret {
    std::string text;
    Secret() = default;
    explicit Secret(std::string t) : text(std::move(t)) {}
    Secret(Secret&& other) noexcept : text(std::move(other.text)) { other.wipe(); }
    Secret& operator=(Secret&&) = delete;
    ~Secret() { wipe(); }
    void wipe() {
        Credentials::overwrite(text.data(), text.size());
        text.clear();
    }
};

Key open_key(const std::string& conf, std::string_view password) {
    sif_key* key = nullptr;
    singularity::check([&](sg_error* e) {
        return cipher().open(conf.data(), conf.size(), password.data(), password.size(), &key, e);
    });
    return Key(key);
}

// Passwords of images that this process has made or opened, by their gocryptfs.conf: a build for a public key tests
// what it has made, and nobody is asked twice.
class Known {
public:
    void add(const std::string& conf, const std::string& password) {
        const std::lock_guard lock(mutex_);
        passwords_.insert_or_assign(conf, password);
    }
    std::optional<std::string> find(const std::string& conf) {
        const std::lock_guard lock(mutex_);
        const auto it = passwords_.find(conf);
        return it == passwords_.end() ? std::nullopt : std::optional(it->second);
    }
    static Known& all() {
        static Known known;
        return known;
    }

private:
    std::mutex mutex_;
    std::map<std::string, std::string> passwords_;
};

// ---- Where keys come from --------------------------------------------------------------------------

std::string variable(const std::string& name) {
    for (const char* prefix : {"SINGULARITY_", "APPTAINER_"})
        if (const char* value = std::getenv((prefix + name).c_str()); value && *value) return value;
    return {};
}

std::string read_pem(const std::string& path) {
    const File file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (file.fd() < 0) throw_errno("cannot open the key", path);
    std::string out(longest_pem, '\0');
    out.resize(
        static_cast<size_t>(read_some(file.fd(), 0, {reinterpret_cast<uint8_t*>(out.data()), out.size()}, path)));
    return out;
}

// The PEM text that was named, "" for none; `from` says where it stands.
Secret pem_text(std::string& from) {
    if (const std::string path = Host().text("encryption.pem_path").value_or(""); !path.empty()) {
        from = path;
        return Secret(read_pem(path));
    }
    from = "the environment";
    return Secret(variable("ENCRYPTION_PEM_DATA"));
}

// "" when there is none and nobody is to be asked.
Secret passphrase(bool twice) {
    if (!Host().boolean("encryption.ask", false)) return Secret(variable("ENCRYPTION_PASSPHRASE"));
    const auto ask = [](const char* prompt) {
        const auto given = Host().ask_credentials("the image", "", prompt);
        if (!given)
            throw Error(Code::permission, "the passphrase cannot be asked for: there is no terminal",
                        "Set SINGULARITY_ENCRYPTION_PASSPHRASE.");
        return Secret(given->secret);
    };
    Secret out = ask("Enter encryption passphrase: ");
    if (out.text.empty()) throw Error(Code::invalid, "the passphrase is empty");
    if (twice && ask("Retype encryption passphrase: ").text != out.text)
        throw Error(Code::invalid, "the two passphrases differ");
    return out;
}

std::string text_of(const Container& container, const Descriptor& object, size_t longest) {
    if (static_cast<uint64_t>(object.size) > longest)
        throw Error(Code::corrupt, container.path() + ": object " + std::to_string(object.id) +
                                       ", which should hold a key, has " + std::to_string(object.size) + " bytes");
    std::string out(static_cast<size_t>(object.size), '\0');
    read_exactly(container.fd(), static_cast<uint64_t>(object.offset),
                 {reinterpret_cast<uint8_t*>(out.data()), out.size()}, container.path());
    return out;
}

Secret password_of(const Container& container, const Descriptor& partition, const std::string& what) {
    for (const Descriptor* d : container.objects()) {
        if (!d->is(DataType::message) || d->links_group() || d->link_id() != partition.id) continue;
        std::string from;
        const Secret pem = pem_text(from);
        if (pem.text.empty())
            throw Error(Code::permission, what + " is encrypted for an RSA key",
                        "Give its private key: --pem-path FILE, or SINGULARITY_ENCRYPTION_PEM_DATA.");
        Secret out;
        out.text.resize(1024);
        uint64_t size = 0;
        try {
            singularity::check([&](sg_error* e) {
                return cipher().unwrap(pem.text.c_str(), text_of(container, *d, longest_message).c_str(),
                                       out.text.data(), out.text.size(), &size, e);
            });
        } catch (const Error& e) {
            throw e.within(what + " with the key of " + from);
        }
        out.text.resize(static_cast<size_t>(size));
        return out;
    }
    Secret out = passphrase(false);
    if (out.text.empty())
        throw Error(Code::permission, what + " is encrypted with a passphrase",
                    "Give it: --passphrase asks for it, SINGULARITY_ENCRYPTION_PASSPHRASE holds it.");
    return out;
}

// ---- Reading ---------------------------------------------------------------------------------------

// The encrypted file, decrypted block by block.
class Plain final : public squashfs::ByteSource {
public:
    Plain(singularity::Root& outer, uint64_t node, uint64_t stored, Key key)
        : outer_(outer), node_(node), stored_(stored), key_(std::move(key)) {
        if (stored_ < SIF_CIPHER_HEADER) throw Error(Code::corrupt, "the encrypted image is cut short");
        get(0, header_, sizeof header_);
        if (header_[0] != 0 || header_[1] != 2)
            throw Error(Code::unsupported,
                        "the encrypted file has version " + std::to_string(header_[0] * 256 + header_[1]) + ", not 2");
        constexpr uint64_t extra = SIF_CIPHER_STORED - SIF_CIPHER_BLOCK;
        const uint64_t body = stored_ - SIF_CIPHER_HEADER, last = body % SIF_CIPHER_STORED;
        if (last != 0 && last <= extra) throw Error(Code::corrupt, "the encrypted image is cut short");
        size_ = body / SIF_CIPHER_STORED * SIF_CIPHER_BLOCK + (last == 0 ? 0 : last - extra);
    }
    uint64_t size() const { return size_; }

    void read(uint64_t offset, void* out, size_t n) const override {
        auto* to = static_cast<uint8_t*>(out);
        std::vector<uint8_t> in, plain;
        while (n > 0) {
            const uint64_t first = offset / SIF_CIPHER_BLOCK, skip = offset % SIF_CIPHER_BLOCK;
            const uint64_t count =
                std::min<uint64_t>(blocks_at_once, (skip + n + SIF_CIPHER_BLOCK - 1) / SIF_CIPHER_BLOCK);
            const uint64_t at = SIF_CIPHER_HEADER + first * SIF_CIPHER_STORED;
            in.resize(static_cast<size_t>(std::min<uint64_t>(count * SIF_CIPHER_STORED, stored_ - at)));
            plain.resize(static_cast<size_t>(count * SIF_CIPHER_BLOCK));
            get(at, in.data(), in.size());
            singularity::check([&](sg_error* e) {
                return cipher().decrypt(key_.get(), header_, first, in.data(), in.size(), plain.data(), e);
            });
            const size_t part = static_cast<size_t>(std::min<uint64_t>(n, count * SIF_CIPHER_BLOCK - skip));
            std::memcpy(to, plain.data() + skip, part);
            to += part, offset += part, n -= part;
        }
    }

private:
    void get(uint64_t offset, uint8_t* out, size_t n) const {
        if (outer_.read(node_, offset, out, n) != n) throw Error(Code::corrupt, "the encrypted image is cut short");
    }

    singularity::Root& outer_;
    const uint64_t node_, stored_;
    Key key_;
    uint8_t header_[SIF_CIPHER_HEADER];
    uint64_t size_ = 0;
};

// The data of a LUKS volume, decrypted sector by sector.
class Volume final : public squashfs::ByteSource {
public:
    Volume(const Container& container, const Descriptor& partition, const std::string& passphrase)
        : container_(container), at_(static_cast<uint64_t>(partition.offset)) {
        sif_volume* volume = nullptr;
        singularity::check([&](sg_error* e) {
            return cipher().luks_open(
                [](void* self, uint64_t offset, void* data, uint64_t n) -> int32_t {
                    try {
                        static_cast<const Volume*>(self)->get(offset, static_cast<uint8_t*>(data), n);
                        return 0;
                    } catch (const Error&) {
                        return 1;
                    }
                },
                this, static_cast<uint64_t>(partition.size), passphrase.data(), passphrase.size(), &volume, &facts_, e);
        });
        volume_.reset(volume);
    }
    uint64_t size() const { return facts_.size; }

    void read(uint64_t offset, void* out, size_t n) const override {
        auto* to = static_cast<uint8_t*>(out);
        std::vector<uint8_t> sectors;
        while (n > 0) {
            const uint64_t first = offset / facts_.sector, skip = offset % facts_.sector, all = facts_.size / facts_.sector;
            if (first >= all) throw Error(Code::corrupt, "the encrypted image is cut short");
            const uint64_t wanted = (skip + n + facts_.sector - 1) / facts_.sector;
            const uint64_t count = std::min({most_at_once / facts_.sector, wanted, all - first});
            sectors.resize(static_cast<size_t>(count * facts_.sector));
            get(facts_.offset + first * facts_.sector, sectors.data(), sectors.size());
            singularity::check([&](sg_error* e) { return cipher().luks_decrypt(volume_.get(), first, sectors.data(), sectors.size(), e); });
            const size_t part = static_cast<size_t>(std::min<uint64_t>(n, sectors.size() - skip));
            std::memcpy(to, sectors.data() + skip, part);
            to += part, offset += part, n -= part;
        }
    }

private:
    static constexpr uint64_t most_at_once = 128 << 10;  // bytes
    struct Closer {
        void operator()(sif_volume* volume) const { cipher().luks_close(volume); }
    };

    void get(uint64_t offset, uint8_t* out, uint64_t n) const {
        read_exactly(container_.fd(), at_ + offset, {out, static_cast<size_t>(n)}, container_.path());
    }

    const Container& container_;
    const uint64_t at_;
    sif_volume_facts facts_{};
    std::unique_ptr<sif_volume, Closer> volume_;
};

// Forwards to the inner image, and keeps alive what that reads from.
class Decrypted final : public singularity::Root {
public:
    Decrypted(std::unique_ptr<singularity::Root> outer, std::unique_ptr<squashfs::ByteSource> plain, uint64_t size)
        : outer_(std::move(outer)), plain_(std::move(plain)), inner_(squashfs::open_squashfs(*plain_, size)) {}
    uint64_t root() override { return inner_->root(); }
    sg_attr stat(uint64_t node) override { return inner_->stat(node); }
    uint64_t lookup(uint64_t dir, std::string_view name) override { return inner_->lookup(dir, name); }
    void list(uint64_t dir, uint64_t cursor, sg_visit_entry visit, void* arg) override {
        inner_->list(dir, cursor, visit, arg);
    }
    std::string link_target(uint64_t node) override { return inner_->link_target(node); }
    void xattrs(uint64_t node, sg_visit_xattr visit, void* arg) override { inner_->xattrs(node, visit, arg); }
    bool has_xattrs() override { return inner_->has_xattrs(); }
    uint64_t read(uint64_t node, uint64_t offset, void* data, uint64_t capacity) override {
        return inner_->read(node, offset, data, capacity);
    }
    singularity::Slice block(uint64_t node, uint64_t offset) override { return inner_->block(node, offset); }
    sg_placement placement(uint64_t node) override { return inner_->placement(node); }
    void totals(uint64_t& bytes, uint64_t& inodes, uint32_t& block_size) override {
        inner_->totals(bytes, inodes, block_size);
    }

private:
    const std::unique_ptr<singularity::Root> outer_;
    const std::unique_ptr<squashfs::ByteSource> plain_;
    const std::unique_ptr<singularity::Root> inner_;
};

// The two files of the outer image.
struct Outer {
    uint64_t conf = SG_NO_NODE, image = SG_NO_NODE;

    explicit Outer(singularity::Root& root) {
        struct Arg {
            Outer* self;
            bool more;
        } arg{this, false};
        root.list(
            root.root(), 0,
            [](void* a, const char* name, uint64_t length, uint64_t node, uint32_t type, uint64_t) -> int32_t {
                auto& found = *static_cast<Arg*>(a);
                const bool is_conf = std::string_view(name, static_cast<size_t>(length)) == conf_name;
                uint64_t& place = is_conf ? found.self->conf : found.self->image;
                found.more = found.more || place != SG_NO_NODE || !S_ISREG(type);
                place = node;
                return 0;
            },
            &arg);
        if (arg.more || conf == SG_NO_NODE || image == SG_NO_NODE)
            throw Error(Code::corrupt, "it does not hold gocryptfs.conf and one encrypted file");
    }
};

}  // namespace

std::unique_ptr<singularity::Root> open_encrypted(const Container& container, const Descriptor& partition,
                                                  const std::string& what) {
    try {
        if (partition.fs_type() == fs::encrypted_squashfs) {
            const Secret password = password_of(container, partition, what);
            auto volume = std::make_unique<Volume>(container, partition, password.text);
            const uint64_t size = volume->size();
            return std::make_unique<Decrypted>(nullptr, std::move(volume), size);
        }
        std::unique_ptr<singularity::Root> outer = squashfs::open_squashfs(
            container.fd(), static_cast<uint64_t>(partition.offset), static_cast<uint64_t>(partition.size));
        const Outer files(*outer);
        const uint64_t conf_size = outer->stat(files.conf).size;
        if (conf_size > longest_conf)
            throw Error(Code::corrupt, "its gocryptfs.conf has " + std::to_string(conf_size) + " bytes");
        std::string conf(static_cast<size_t>(conf_size), '\0');
        conf.resize(static_cast<size_t>(outer->read(files.conf, 0, conf.data(), conf.size())));
        Secret password = [&] {
            auto known = Known::all().find(conf);
            return known ? Secret(*known) : password_of(container, partition, what);
        }();
        Key key = open_key(conf, password.text);
        Known::all().add(conf, password.text);
        const uint64_t stored = outer->stat(files.image).size;
        auto plain = std::make_unique<Plain>(*outer, files.image, stored, std::move(key));
        const uint64_t size = plain->size();
        return std::make_unique<Decrypted>(std::move(outer), std::move(plain), size);
    } catch (const Error& e) {
        if (e.message().rfind(what, 0) == 0) throw;
        throw e.within(what);
    }
}

// ---- Writing ---------------------------------------------------------------------------------------

namespace {

// The bytes of a plain file, encrypted.
class Sealed final : public singularity::Stream {
public:
    Sealed(int plain, uint64_t size, const sif_key& key, const uint8_t* header, const Host& host)
        : plain_(plain),
          left_(size),
          key_(key),
          header_(header),
          host_(host),
          in_(blocks_at_once * SIF_CIPHER_BLOCK),
          out_(blocks_at_once * SIF_CIPHER_STORED) {}

    singularity::Slice next() override {
        host_.poll();
        if (!started_) {
            started_ = true;
            return singularity::Slice::borrowed(header_, SIF_CIPHER_HEADER);
        }
        if (left_ == 0) return {};
        const uint64_t n = std::min<uint64_t>(left_, in_.size());
        read_exactly(plain_, at_, {in_.data(), static_cast<size_t>(n)}, "a temporary file");
        singularity::check([&](sg_error* e) {
            return cipher().encrypt(&key_, header_, at_ / SIF_CIPHER_BLOCK, in_.data(), n, out_.data(), e);
        });
        at_ += n, left_ -= n;
        return singularity::Slice::borrowed(
            out_.data(), n + (n + SIF_CIPHER_BLOCK - 1) / SIF_CIPHER_BLOCK * (SIF_CIPHER_STORED - SIF_CIPHER_BLOCK));
    }

private:
    const int plain_;
    uint64_t at_ = 0, left_;
    const sif_key& key_;
    const uint8_t* const header_;
    const Host host_;
    bool started_ = false;
    std::vector<uint8_t> in_, out_;
};

class Text final : public singularity::Stream {
public:
    explicit Text(std::string text) : text_(std::move(text)) {}
    singularity::Slice next() override {
        return std::exchange(done_, true) ? singularity::Slice()
                                          : singularity::Slice::borrowed(text_.data(), text_.size());
    }

private:
    const std::string text_;
    bool done_ = false;
};

// A directory with the two files.
class OuterTree final : public singularity::Root {
public:
    OuterTree(uint64_t conf, uint64_t conf_size, uint64_t image, uint64_t image_size, int64_t time) {
        const auto attr = [&](uint32_t mode, uint64_t size, uint64_t inode, uint64_t content) {
            sg_attr a{};
            a.mode = mode, a.nlink = inode == 1 ? 2 : 1, a.mtime = time, a.size = size, a.inode = inode,
            a.content = content;
            return a;
        };
        attributes_[0] = attr(S_IFDIR | 0755, 0, 1, SG_NO_CONTENT);
        attributes_[1] = attr(S_IFREG | 0400, conf_size, 2, conf);
        attributes_[2] = attr(S_IFREG | 0644, image_size, 3, image);
    }
    uint64_t root() override { return 0; }
    sg_attr stat(uint64_t node) override { return attributes_[node]; }
    uint64_t lookup(uint64_t dir, std::string_view name) override {
        return dir != 0 ? SG_NO_NODE : name == conf_name ? 1 : name == image_name ? 2 : SG_NO_NODE;
    }
    void list(uint64_t dir, uint64_t cursor, sg_visit_entry visit, void* arg) override {
        static constexpr const char* names[] = {conf_name, image_name};
        for (uint64_t i = cursor; dir == 0 && i < 2; ++i)
            if (visit(arg, names[i], std::strlen(names[i]), i + 1, S_IFREG, i + 1) != 0) return;
    }
    std::string link_target(uint64_t) override { return {}; }
    void xattrs(uint64_t, sg_visit_xattr, void*) override {}
    uint64_t read(uint64_t, uint64_t, void*, uint64_t) override { return 0; }
    singularity::Slice block(uint64_t, uint64_t) override { return {}; }
    void totals(uint64_t& bytes, uint64_t& inodes, uint32_t& block_size) override {
        bytes = 0, inodes = 3, block_size = squashfs::default_block_size;
    }

private:
    sg_attr attributes_[3];
};

}  // namespace

NewKey::NewKey() {
    std::string from;
    if (const Secret pem = pem_text(from); !pem.text.empty()) {
        char password[33];
        singularity::check([&](sg_error* e) { return cipher().random_password(password, e); });
        password_ = password;
        Credentials::overwrite(password, sizeof password);
        std::string message(longest_message, '\0');
        try {
            singularity::check([&](sg_error* e) {
                return cipher().wrap(pem.text.c_str(), password_.c_str(), message.data(), message.size(), e);
            });
        } catch (const Error& e) {
            throw e.within("cannot encrypt for the key of " + from);
        }
        message_ = message.c_str();
        return;
    }
    Secret given = passphrase(true);
    if (given.text.empty())
        throw Error(Code::usage, "encryption needs a key",
                    "Give --passphrase, --pem-path FILE, or one of SINGULARITY_ENCRYPTION_PASSPHRASE and _PEM_PATH.");
    password_ = given.text;
}

NewKey::~NewKey() { Credentials::overwrite(password_.data(), password_.size()); }

uint64_t NewKey::write_partition(int plain, uint64_t size, int fd, uint64_t at,
                                 const squashfs::SquashfsOptions& options, const Host& host) {
    char conf[4096];
    uint8_t header[SIF_CIPHER_HEADER];
    sif_key* raw = nullptr;
    singularity::check([&](sg_error* e) {
        return cipher().make(password_.data(), password_.size(), conf, sizeof conf, header, &raw, e);
    });
    const Key key(raw);
    Known::all().add(conf, password_);
    squashfs::SquashfsOptions fast = options;
    fast.compressor = squashfs::Compressor::zstd, fast.level = 1;  // what is encrypted cannot be compressed
    squashfs::SquashfsWriter writer(fd, at, fast, host);
    const uint64_t conf_size = std::strlen(conf);
    const uint64_t stored = SIF_CIPHER_HEADER + size +
                            (size + SIF_CIPHER_BLOCK - 1) / SIF_CIPHER_BLOCK * (SIF_CIPHER_STORED - SIF_CIPHER_BLOCK);
    Text text(conf);
    const uint64_t conf_id = writer.content(conf_name, conf_size, text, host);
    Sealed sealed(plain, size, *key, header, host);
    const uint64_t image_id = writer.content(image_name, stored, sealed, host);
    OuterTree tree(conf_id, conf_size, image_id, stored, options.mtime);
    singularity::detail::RootBox box{&tree};
    return writer.finish(
        singularity::ForeignRoot(singularity::detail::root_table(false), reinterpret_cast<sg_root*>(&box)), host);
}

}  // namespace sif
