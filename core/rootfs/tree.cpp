#include "rootfs/tree.hpp"

#include <sys/random.h>
#include <sys/stat.h>

#include <algorithm>
#include <map>

#include "base/error.hpp"

namespace sg {

namespace {

// SipHash-1-3: an image chooses the names, so their hashes must not be foreseeable.
uint64_t sip_hash(const uint64_t key[2], uint64_t first, std::string_view s) {
    uint64_t v0 = key[0] ^ 0x736f6d6570736575, v1 = key[1] ^ 0x646f72616e646f6d;
    uint64_t v2 = key[0] ^ 0x6c7967656e657261, v3 = key[1] ^ 0x7465646279746573;
    const auto turn = [](uint64_t x, int b) { return x << b | x >> (64 - b); };
    const auto round = [&] {
        v0 += v1, v1 = turn(v1, 13), v1 ^= v0, v0 = turn(v0, 32);
        v2 += v3, v3 = turn(v3, 16), v3 ^= v2;
        v0 += v3, v3 = turn(v3, 21), v3 ^= v0;
        v2 += v1, v1 = turn(v1, 17), v1 ^= v2, v2 = turn(v2, 32);
    };
    const auto take = [&](uint64_t m) {
        v3 ^= m;
        round();
        v0 ^= m;
    };
    take(first);
    const char* p = s.data();
    size_t left = s.size();
    for (; left >= 8; p += 8, left -= 8) {
        uint64_t m;
        std::memcpy(&m, p, 8);
        take(m);
    }
    uint64_t last = static_cast<uint64_t>(s.size()) << 56;
    if (left > 0) std::memcpy(&last, p, left);
    take(last);
    v2 ^= 0xff;
    round(), round(), round();
    return v0 ^ v1 ^ v2 ^ v3;
}

// The first eight bytes as a number that sorts like them.
uint64_t prefix(std::string_view s) {
    uint64_t v = 0;
    std::memcpy(&v, s.data(), std::min<size_t>(8, s.size()));
    return __builtin_bswap64(v);
}

}  // namespace

// The sets of extended attributes; number n is sets[n - 1].
struct Tree::Sets {
    std::vector<Xattrs> sets;
    std::map<std::string, uint32_t> numbers;
};

Tree::Tree() : sets_(std::make_unique<Sets>()) {
    if (getrandom(key_, sizeof key_, 0) != static_cast<ssize_t>(sizeof key_)) throw_errno("cannot get random bytes", "");
    slots_.resize(1024);
    Entry top;
    top.name = texts_.add("");
    top.parent = root;
    top.linked = true;
    nodes_.add(top);
    Inode dir;
    dir.mode = S_IFDIR | 0755;
    nodes_[root].file = add_file(dir);
}
Tree::Tree(Tree&&) noexcept = default;
Tree& Tree::operator=(Tree&&) noexcept = default;
Tree::~Tree() = default;

// ---- Nodes and files ------------------------------------------------------------------------

uint32_t Tree::hash(Node dir, std::string_view name) const { return static_cast<uint32_t>(sip_hash(key_, dir, name)); }

Tree::Node Tree::child(Node dir, std::string_view name) const {
    const uint32_t h = hash(dir, name);
    const size_t mask = slots_.size() - 1;
    for (size_t i = h & mask;; i = (i + 1) & mask) {
        const Slot& s = slots_[i];
        if (s.node == none) return none;
        if (s.hash == h) {
            const Entry& e = nodes_[s.node];
            if (e.parent == dir && e.length == name.size() && std::memcmp(e.name, name.data(), name.size()) == 0)
                return s.node;
        }
    }
}

Tree::Node Tree::make_child(Node dir, std::string_view name) {
    const uint32_t h = hash(dir, name);
    size_t mask = slots_.size() - 1;
    size_t i = h & mask;
    for (;; i = (i + 1) & mask) {
        const Slot& s = slots_[i];
        if (s.node == none) break;
        if (s.hash == h) {
            const Entry& e = nodes_[s.node];
            if (e.parent == dir && e.length == name.size() && std::memcmp(e.name, name.data(), name.size()) == 0)
                return s.node;
        }
    }
    if (nodes_.size() >= none - 1) throw Error(Code::limit, "more names than one image can hold");
    Entry e;
    e.name = texts_.add(name);
    e.length = static_cast<uint16_t>(name.size());
    e.parent = dir;
    const Node n = nodes_.add(e);
    link(n);
    if (++used_ * 2 > slots_.size()) {
        grow();
        mask = slots_.size() - 1;
        for (i = h & mask; slots_[i].node != none; i = (i + 1) & mask) {
        }
    }
    slots_[i] = {h, n};
    return n;
}

void Tree::grow() {
    std::vector<Slot> old(slots_.size() * 2);
    old.swap(slots_);
    const size_t mask = slots_.size() - 1;
    for (const Slot& s : old) {
        if (s.node == none) continue;
        size_t i = s.hash & mask;
        while (slots_[i].node != none) i = (i + 1) & mask;
        slots_[i] = s;
    }
}

void Tree::link(Node n) {
    Entry& e = nodes_[n];
    if (e.linked) return;
    Entry& dir = nodes_[e.parent];
    e.next = dir.first;
    e.linked = true;
    dir.first = n;
    dir.sorted = false;
}

std::string Tree::path(Node n) const {
    size_t length = 0;
    for (Node i = n; i != root; i = nodes_[i].parent) length += nodes_[i].length + 1u;
    if (length == 0) return {};
    std::string out(length - 1, '/');
    size_t at = length - 1;
    for (Node i = n; i != root; i = nodes_[i].parent) {
        at -= nodes_[i].length;
        std::memcpy(out.data() + at, nodes_[i].name, nodes_[i].length);
        if (at > 0) --at;
    }
    return out;
}

bool Tree::is_directory(Node n) const {
    return nodes_[n].file != none && S_ISDIR(inodes_[resolve(nodes_[n].file)].mode);
}

Tree::File Tree::add_file(const Inode& inode) {
    if (inodes_.size() >= none - 1) throw Error(Code::limit, "more files than one image can hold");
    return inodes_.add(inode);
}

void Tree::unite(File f, File with) {
    with = resolve(with);
    if (f != with) inodes_[f].same_as = with;
}

void Tree::place(Node n, File f) {
    nodes_[n].file = f;
    link(n);
    ordered_ = false;
}

void Tree::clear(Node n) {
    nodes_[n].file = none;
    ordered_ = false;
}

void Tree::clear_below(Node n) {
    std::vector<Node> todo{n};
    while (!todo.empty()) {
        const Node dir = todo.back();
        todo.pop_back();
        for (Node c = nodes_[dir].first; c != none; c = nodes_[c].next) {
            if (nodes_[c].first != none) todo.push_back(c);
            nodes_[c].file = none;
        }
    }
    ordered_ = false;
}

const char* Tree::text(std::string_view s) { return texts_.add(s); }

uint32_t Tree::intern_xattrs(Xattrs& set) {
    if (set.empty()) return 0;
    std::stable_sort(set.begin(), set.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    for (size_t i = 0; i + 1 < set.size();) {
        if (set[i].first == set[i + 1].first)
            set.erase(set.begin() + static_cast<ptrdiff_t>(i));
        else
            ++i;
    }
    std::string key;
    for (const auto& [name, value] : set) {
        key.append(name).push_back('\0');
        key.append(std::to_string(value.size())).push_back('\0');
        key.append(value);
    }
    const auto [at, fresh] = sets_->numbers.try_emplace(std::move(key), static_cast<uint32_t>(sets_->sets.size() + 1));
    if (fresh) sets_->sets.push_back(set);
    return at->second;
}

void Tree::each_xattr(uint32_t set, sg_visit_xattr visit, void* arg) const {
    if (set == 0) return;
    for (const auto& [name, value] : sets_->sets[set - 1])
        if (visit(arg, name.c_str(), value.data(), value.size()) != 0) return;
}

// ---- For a writer -----------------------------------------------------------------------------

// Sorts the list of one directory; names that are not there any more leave it.
void Tree::sort_children(Node dir) {
    struct Key {
        uint64_t prefix;
        Node node;
    };
    static thread_local std::vector<Key> keys;
    keys.clear();
    for (Node c = nodes_[dir].first; c != none;) {
        Entry& e = nodes_[c];
        const Node next = e.next;
        // One without a file may still have had children that are not there either: it is done with.
        if (e.file == none)
            e.linked = false;
        else
            keys.push_back({prefix(name(c)), c});
        c = next;
    }
    std::sort(keys.begin(), keys.end(), [this](const Key& a, const Key& b) {
        return a.prefix != b.prefix ? a.prefix < b.prefix : name(a.node) < name(b.node);
    });
    Node next = none;
    for (size_t i = keys.size(); i-- > 0;) {
        nodes_[keys[i].node].next = next;
        next = keys[i].node;
    }
    nodes_[dir].first = next;
    nodes_[dir].sorted = true;
}

void Tree::order() {
    if (ordered_) return;
    for (uint32_t i = 0; i < inodes_.size(); ++i) inodes_[i].nlink = 0;
    total_bytes_ = total_inodes_ = 0;
    std::vector<Node> todo{root};
    ++total_inodes_;
    inode(nodes_[root].file).nlink = 2;
    while (!todo.empty()) {
        const Node dir = todo.back();
        todo.pop_back();
        sort_children(dir);
        uint32_t directories = 0;
        for (Node c = nodes_[dir].first; c != none; c = nodes_[c].next) {
            nodes_[c].file = resolve(nodes_[c].file);
            Inode& i = inodes_[nodes_[c].file];
            if (S_ISDIR(i.mode)) {
                ++directories;
                i.nlink = 2;
                ++total_inodes_;
                todo.push_back(c);
            } else if (++i.nlink == 1) {
                ++total_inodes_;
                if (S_ISREG(i.mode)) total_bytes_ += i.size;
            }
        }
        inode(nodes_[dir].file).nlink += directories;
    }
    ordered_ = true;
}

sg_root* Tree::handle() {
    order();
    return reinterpret_cast<sg_root*>(this);
}

sg_attr Tree::attributes(Node n) const {
    const File f = resolve(nodes_[n].file);
    const Inode& i = inodes_[f];
    sg_attr a{};
    a.mode = i.mode, a.uid = i.uid, a.gid = i.gid;
    a.nlink = i.nlink;
    a.mtime = i.mtime;
    a.size = S_ISREG(i.mode) || S_ISLNK(i.mode) ? i.size : 0;
    a.major = i.major, a.minor = i.minor;
    a.inode = uint64_t{f} + 1;
    a.content = i.content;
    return a;
}

struct Tree::Calls {
    static Tree& of(sg_root* r) { return *reinterpret_cast<Tree*>(r); }
    // The node with this number, when it is there.
    static Node node(const Tree& t, uint64_t n) {
        if (n >= t.nodes_.size() || t.nodes_[static_cast<Node>(n)].file == none)
            throw Error(Code::not_found, "no node number " + std::to_string(n));
        return static_cast<Node>(n);
    }
    static Node directory(const Tree& t, uint64_t n) {
        const Node d = node(t, n);
        if (!t.is_directory(d)) throw Error(Code::invalid, "node number " + std::to_string(n) + " is no directory");
        return d;
    }
};

const sg_root_v1* Tree::table() {
    using singularity::guard;
    static const sg_root_v1 calls = {
        [](sg_root*) -> uint64_t { return root; },
        [](sg_root* self, uint64_t n, sg_attr* out, sg_error* err) {
            return guard(err, [&] { *out = Calls::of(self).attributes(Calls::node(Calls::of(self), n)); });
        },
        [](sg_root* self, uint64_t dir, const char* name, uint64_t length, uint64_t* out, sg_error* err) {
            return guard(err, [&]() -> int32_t {
                const Tree& t = Calls::of(self);
                const Node n = t.child(Calls::directory(t, dir), {name, static_cast<size_t>(length)});
                if (n == none || !t.present(n)) return SG_ENOTFOUND;
                *out = n;
                return SG_OK;
            });
        },
        // The cursor is the last entry's node number plus one.
        [](sg_root* self, uint64_t dir, uint64_t cursor, sg_visit_entry visit, void* arg, sg_error* err) {
            return guard(err, [&] {
                const Tree& t = Calls::of(self);
                const Node d = Calls::directory(t, dir);
                Node c = t.nodes_[d].first;
                if (cursor > 0) {
                    const Node last = Calls::node(t, cursor - 1);
                    if (t.nodes_[last].parent != d) throw Error(Code::invalid, "the cursor belongs to another directory");
                    c = t.nodes_[last].next;
                }
                for (; c != none; c = t.nodes_[c].next) {
                    const Entry& e = t.nodes_[c];
                    if (visit(arg, e.name, e.length, c, t.inodes_[t.resolve(e.file)].mode & S_IFMT, uint64_t{c} + 1) != 0)
                        return;
                }
            });
        },
        [](sg_root* self, uint64_t n, char* out, uint64_t capacity, uint64_t* length, sg_error* err) {
            return guard(err, [&] {
                const Tree& t = Calls::of(self);
                const Inode& i = t.inode(t.nodes_[Calls::node(t, n)].file);
                if (!S_ISLNK(i.mode)) throw Error(Code::invalid, "node number " + std::to_string(n) + " is no symbolic link");
                *length = i.size;
                if (i.target) std::memcpy(out, i.target, std::min(capacity, i.size));
            });
        },
        [](sg_root* self, uint64_t n, sg_visit_xattr visit, void* arg, sg_error* err) {
            return guard(err, [&] {
                const Tree& t = Calls::of(self);
                t.each_xattr(t.inode(t.nodes_[Calls::node(t, n)].file).xattrs, visit, arg);
            });
        },
        nullptr,
        nullptr,
        nullptr,
        [](sg_root* self, uint64_t* bytes, uint64_t* inodes, uint32_t* block_size) {
            const Tree& t = Calls::of(self);
            *bytes = t.total_bytes_;
            *inodes = t.total_inodes_;
            *block_size = 4096;
        },
        nullptr};
    return &calls;
}

// ---- Edits by path ------------------------------------------------------------------------------

// Components still to go, the next one last, with links that are met replaced by their targets.
struct Tree::Walk {
    std::vector<std::string> todo;
    unsigned links = 0;

    explicit Walk(std::string_view path) { push(path); }
    void push(std::string_view path) {
        std::vector<std::string> parts;
        while (!path.empty()) {
            const auto slash = path.find('/');
            const auto part = path.substr(0, slash);
            path = slash == std::string_view::npos ? std::string_view{} : path.substr(slash + 1);
            if (!part.empty() && part != ".") parts.emplace_back(part);
        }
        todo.insert(todo.end(), std::make_move_iterator(parts.rbegin()), std::make_move_iterator(parts.rend()));
    }
    std::string pop() {
        std::string s = std::move(todo.back());
        todo.pop_back();
        return s;
    }
    // Continues at a link's target; gives the directory it starts from.
    Node follow(const Tree& tree, Node link, std::string_view path) {
        if (++links > 40)
            throw Error(Code::corrupt, "too many levels of symbolic links at " + std::string(path) + " in the image");
        const Inode& i = tree.inode(tree.nodes_[link].file);
        const std::string_view target(i.target ? i.target : "", i.size);
        push(target);
        return target.starts_with('/') ? root : tree.parent(link);
    }
};

namespace {
bool is_link(uint32_t mode) { return S_ISLNK(mode); }
}  // namespace

Tree::Node Tree::walk(std::string_view path, bool follow_last) const {
    Walk w(path);
    Node at = root;
    while (!w.todo.empty()) {
        const std::string part = w.pop();
        if (part == "..") {
            at = parent(at);
            continue;
        }
        if (!is_directory(at)) return none;
        const Node n = child(at, part);
        if (n == none || !present(n)) return none;
        at = is_link(inode(nodes_[n].file).mode) && (follow_last || !w.todo.empty()) ? w.follow(*this, n, path) : n;
    }
    return at;
}

// The directory `at`, made when it is something else.
Tree::Node Tree::enter(Node at, int64_t mtime) {
    if (is_directory(at)) return at;
    Inode dir;
    dir.mode = S_IFDIR | 0755;
    dir.mtime = mtime;
    clear_below(at);
    place(at, add_file(dir));
    return at;
}

// Walks to the directory that holds the last component, making what is missing.
Tree::Node Tree::make_way(std::string_view path, int64_t mtime, std::string& last) {
    Walk w(path);
    Node at = root;
    last.clear();
    while (!w.todo.empty()) {
        std::string part = w.pop();
        if (part == "..") {
            at = parent(at);
            continue;
        }
        if (w.todo.empty()) {
            last = std::move(part);
            break;
        }
        const Node n = make_child(at, part);
        at = present(n) && is_link(inode(nodes_[n].file).mode) ? w.follow(*this, n, path) : enter(n, mtime);
    }
    return at;
}

std::optional<sg_attr> Tree::find(std::string_view path) const {
    const Node n = walk(path, false);
    if (n == none) return std::nullopt;
    return attributes(n);
}

std::optional<sg_attr> Tree::find_following(std::string_view path) const {
    const Node n = walk(path, true);
    if (n == none) return std::nullopt;
    return attributes(n);
}

std::optional<std::string> Tree::link_target(std::string_view path) const {
    const Node n = walk(path, false);
    if (n == none) return std::nullopt;
    const Inode& i = inode(nodes_[n].file);
    if (!S_ISLNK(i.mode)) return std::nullopt;
    return std::string(i.target ? i.target : "", i.size);
}

std::vector<std::string> Tree::names(std::string_view path) const {
    std::vector<std::string> out;
    const Node dir = walk(path, true);
    if (dir == none || !is_directory(dir)) return out;
    each_child(dir, [&](Node c) {
        if (present(c)) out.emplace_back(name(c));
        return true;
    });
    std::sort(out.begin(), out.end());
    return out;
}

void Tree::put_directory(std::string_view path, uint32_t permissions, int64_t mtime) {
    const Node there = walk(path, false);
    if (there != none && (is_directory(there) || is_link(inode(nodes_[there].file).mode))) return;
    std::string last;
    const Node dir = make_way(path, mtime, last);
    if (last.empty()) return;
    const Node n = make_child(dir, last);
    Inode i;
    i.mode = S_IFDIR | (permissions & 07777);
    i.mtime = mtime;
    clear_below(n);
    place(n, add_file(i));
}

void Tree::put_file(std::string_view path, uint32_t permissions, int64_t mtime, uint64_t size, uint64_t content) {
    std::string last;
    const Node dir = make_way(path, mtime, last);
    if (last.empty()) throw Error(Code::invalid, "no file can stand at " + std::string(path));
    const Node n = make_child(dir, last);
    Inode i;
    i.mode = S_IFREG | (permissions & 07777);
    i.mtime = mtime;
    i.size = size;
    i.content = content;
    clear_below(n);
    place(n, add_file(i));
}

void Tree::put_symlink(std::string_view path, std::string_view target, int64_t mtime) {
    std::string last;
    const Node dir = make_way(path, mtime, last);
    if (last.empty()) throw Error(Code::invalid, "no link can stand at " + std::string(path));
    const Node n = make_child(dir, last);
    Inode i;
    i.mode = S_IFLNK | 0777;
    i.mtime = mtime;
    i.size = target.size();
    i.target = text(target);
    clear_below(n);
    place(n, add_file(i));
}

void Tree::put_link(std::string_view path, std::string_view first) {
    const Node there = walk(first, false);
    if (there == none || !present(there) || is_directory(there)) throw Error(Code::invalid, "no file stands at " + std::string(first));
    std::string last;
    const Node dir = make_way(path, 0, last);
    if (last.empty()) throw Error(Code::invalid, "no file can stand at " + std::string(path));
    const Node n = make_child(dir, last);
    if (n == there) return;
    clear_below(n);
    place(n, file(there));
}

void Tree::give(std::string_view path, uint32_t permissions, uint32_t uid, uint32_t gid) {
    const Node n = walk(path, false);
    if (n == none || !present(n)) return;
    Inode& i = inode(file(n));
    if (!is_link(i.mode)) i.mode = (i.mode & S_IFMT) | (permissions & 07777);
    i.uid = uid, i.gid = gid;
}

bool Tree::remove(std::string_view path) {
    const Node n = walk(path, false);
    if (n == none) return false;
    if (n == root) throw Error(Code::invalid, "the root directory cannot be removed");
    clear_below(n);
    clear(n);
    return true;
}

bool is_kept_xattr(std::string_view name) {
    using namespace std::string_view_literals;
    if (name == "security.selinux"sv || name == "system.nfs4_acl"sv || name == "user.rootlesscontainers"sv) return false;
    return !name.starts_with("trusted.overlay."sv) && !name.starts_with("user.overlay."sv);
}

}  // namespace sg
