#include "rootfs/merge.hpp"

#include <sys/stat.h>

#include <singularity/printable.hpp>

#include <algorithm>
#include <map>
#include <unordered_map>

#include "base/error.hpp"
#include "base/log.hpp"
#include "rootfs/layer_stream.hpp"
#include "rootfs/tar_reader.hpp"

namespace sg {

using singularity::Stream;
using Node = Tree::Node;
using File = Tree::File;

namespace {

constexpr std::string_view whiteout = ".wh.";
constexpr std::string_view opaque = ".wh..wh..opq";
constexpr std::string_view leftover = ".wh..wh.";
constexpr size_t longest_name = 255;
constexpr unsigned most_links = 40;             // symbolic links followed on one path
constexpr uint64_t most_undoing = 200'000'000;  // steps spent on what a layer takes back of itself
constexpr uint64_t most_warnings = 10;

// Layers are numbered 1 (base) to n (newest), so that 0 is "none".
using Layer = uint16_t;

// What the merge knows of a name besides the tree.
struct Trace {
    // What the layer being read has at this name so far, when `seen` is that layer.
    enum class Kind : uint8_t {
        none,
        directory,
        visible,  // the tree's file at this node
        hidden,   // entry number `ref` of the layer; a newer layer hides it
        file,     // hidden name of the file number `ref`
        older     // hidden name of what older layers have at node `ref`
    };
    Layer layer = 0;    // made the name visible; 0: it is not
    Layer attr = 0;     // gave a directory its attributes; 0: none yet
    Layer cut = 0;      // layers below this one are hidden below the name ...
    Layer selfcut = 0;  // ... and these also at the name itself
    Layer seen = 0;     // the last layer that had an entry of this name
    Layer walked = 0;   // the last layer that had an entry below this name
    Kind kind = Kind::none;
    bool is_link = false;  // `seen` has a symbolic link here
    bool awaited = false;  // hard links of newer layers wait for this name
    uint32_t ref = 0;
};

struct Place {
    Node node;
    bool hidden;  // by a newer layer
};

// Hard links of layer `layer` to a name that an older layer must have.
struct Waiting {
    File file;  // stands for the target until it is known
    Node link;  // one of the names, for messages and hints
    Layer layer;
    Layer bound = 0;            // the layer in which the target was found
    bool is_directory = false;  // it is one, which no hard link may lead to
};

class Merge {
public:
    Merge(std::span<LayerInput> layers, ImageWriter& writer, const MergeLimits& limits, const MergeOptions& options,
          const sg_call* call)
        : layers_(layers),
          writer_(writer),
          limits_(limits),
          options_(options),
          call_(call),
          pool_(BufferPool::make()) {}

    Tree run() {
        const size_t n = layers_.size();
        if (n > UINT16_MAX - 1)
            throw Error(Code::limit, "the image has " + std::to_string(n) + " layers, more than 65,534");
        trace(Tree::root).layer = static_cast<Layer>(n + 1);
        std::unique_ptr<Stream> newer, older;
        for (size_t i = n; i-- > 0;) {
            layer_ = static_cast<Layer>(i + 1);
            const bool stored = input().stored && is_enough(*input().stored);
            newer = older ? std::move(older) : stored ? nullptr : open(i);
            if (options_.threads > 1 && i > 0 && !layers_[i - 1].stored) older = open(i - 1);
            if (stored)
                read_stored();
            else
                read_archive(*newer);
            newer.reset();
        }
        read_again();
        check_waiting();
        return std::move(tree_);
    }

private:
    const LayerInput& input() const { return layers_[layer_ - 1u]; }
    std::unique_ptr<Stream> open(size_t i) {
        constexpr uint64_t most = UINT64_MAX / 4;
        return open_layer(layers_[i], 2 * std::min(limits_.image_size, most) + (16 << 20), options_.threads, pool_,
                          call_);
    }
    [[noreturn]] void bad(const std::string& why, Code code = Code::corrupt, std::string hint = {}) const {
        throw Error(code, layer_name(input()) + ": " + why, std::move(hint));
    }
    [[noreturn]] void too_much(const std::string& why, const char* key) const {
        bad(why, Code::limit, std::string("the configuration key ") + key + " sets this limit");
    }
    void warn(const std::string& what) {
        if (++warnings_ <= most_warnings)
            log::warning(layer_name(input()) + ": " + singularity::printable(what));  // it holds names of files
        else if (warnings_ == most_warnings + 1)
            log::warning("more warnings of this kind are not shown");
    }
    Trace& trace(Node n) {
        traces_.reach(n);
        return traces_[n];
    }
    Node child(Node dir, std::string_view name) {
        if (name.size() > longest_name)
            bad("a name is longer than 255 bytes: " + std::string(name.substr(0, 64)) + "...");
        const Node n = tree_.make_child(dir, name);
        if (tree_.node_count() > limits_.entries)
            too_much("the image has more than " + std::to_string(limits_.entries) + " entries", "limits.entries");
        trace(n);
        return n;
    }

    // ---- One layer ----------------------------------------------------------------------------

    void read_archive(Stream& stream) {
        NewLayer* const segment = writer_.knows_layers() ? input().segment.get() : nullptr;
        writer_.begin_layer(segment ? segment->fd() : -1);
        in_layer([&] {
            TarReader tar(stream);
            read(tar, segment);
        });
        const ImageWriter::Segment end = writer_.end_layer();
        if (!segment) return;
        try {
            if (end.size > 0)
                segment->finish(end.data_size, end.size);
            else
                segment->give_up(end.why);
        } catch (const Error& e) {
            segment->give_up(e.message());
        }
    }

    // Whether nothing will be shown that the segment has no bytes of. Links on the way that the layer itself makes are
    // not followed: where they matter the writer refuses the segment.
    bool is_enough(const StoredLayer& stored) {
        if (stored.complete()) return true;
        const auto entries = stored.entries();
        TarEntry e;
        for (uint64_t number = 0; entries->next(e);) {
            if (call_) call_->cancel.poll();
            if (e.kind != TarEntry::Kind::file || e.size == 0) continue;
            if (stored.has(number++) || is_hidden(e.path)) continue;
            log::verbose(layer_name(input()) + " is converted again: " + std::string(e.path) + " was not kept");
            return false;
        }
        return true;
    }

    // By what newer layers have.
    bool is_hidden(std::string_view path) {
        clean(path, parts_);
        Node n = Tree::root;
        bool hidden = trace(n).cut > layer_;
        for (size_t i = 0; i < parts_.size(); ++i) {
            n = tree_.child(n, parts_[i]);
            if (n == Tree::none) return hidden;
            const Trace& t = trace(n);
            if (t.awaited) return false;
            const bool is_last = i + 1 == parts_.size();
            hidden = hidden || t.selfcut > layer_ || (tree_.present(n) && (is_last || !tree_.is_directory(n))) ||
                     (!is_last && t.cut > layer_);
        }
        return hidden;
    }

    void read_stored() {
        is_stored_ = true;
        writer_.begin_layer(input().stored->handle());
        in_layer([&] { read(*input().stored->entries(), nullptr); });
        writer_.end_layer();
        is_stored_ = false;
    }

    void read(LayerEntries& entries, NewLayer* segment) {
        link_texts_.clear();
        forget_parent();
        entry_number_ = 0;
        TarEntry e;
        while (entries.next(e)) {
            if (call_) call_->cancel.poll();
            if (++entries_ > limits_.entries)
                too_much("the image has more than " + std::to_string(limits_.entries) + " entries", "limits.entries");
            place_ = Tree::none;
            taken_ = false;
            entry(e, entries);
            if (e.kind == TarEntry::Kind::file && e.size > 0 && !taken_) skip(e, entries, segment);
            if (segment) segment->add(e, entries.xattrs());
            ++entry_number_;
        }
        entries.drain();
    }

    // A writer lays out a layer by all of its files, also those that the image does not have.
    void skip(const TarEntry& e, LayerEntries& entries, const NewLayer* segment) {
        if (!writer_.knows_layers()) return;
        const std::string path = place_ == Tree::none ? std::string() : tree_.path(place_);
        if (is_stored_) return writer_.hidden_stored(path);
        writer_.hidden(path, e.size, segment && e.size <= limits_.file_size ? &entries.data() : nullptr);
    }

    // Damage that the tar reader finds is the layer's.
    template <class F>
    void in_layer(F&& f) {
        try {
            f();
        } catch (const Error& e) {
            if (e.code() != Code::corrupt || e.message().starts_with(layer_name(input()))) throw;
            throw e.within(layer_name(input()));
        }
    }

    void check_length(std::string_view path, const char* what) const {
        if (path.size() > limits_.path_length)
            too_much(std::string(what) + " of " + std::to_string(path.size()) + " bytes is longer than the limit of " +
                         std::to_string(limits_.path_length) + ": " + std::string(path.substr(0, 64)) + "...",
                     "limits.path_length");
    }

    void entry(const TarEntry& e, LayerEntries& tar) {
        check_length(e.path, "a name");
        check_length(e.target, "the target of a link");
        clean(e.path, parts_);
        if (parts_.empty()) {
            if (e.kind != TarEntry::Kind::directory) bad("its entry for the root is no directory");
            return directory({Tree::root, false}, e, tar);
        }
        const std::string_view base = parts_.back();
        if (base.starts_with(whiteout) && !in_leftovers()) return white_out(base);
        if (input().drop_stargz && parts_.size() == 1 &&
            (base == "stargz.index.json" || base == ".prefetch.landmark" || base == ".no.prefetch.landmark"))
            return;

        const bool aufs = in_leftovers();
        Place p = parent(e.path, !aufs);
        p.node = child(p.node, base);
        place_ = p.node;
        p.hidden = p.hidden || aufs || trace(p.node).selfcut > layer_;
        switch (e.kind) {
            case TarEntry::Kind::directory: return directory(p, e, tar);
            case TarEntry::Kind::hard_link: return hard_link(p, e);
            default: return other(p, e, tar);
        }
    }

    bool in_leftovers() const {
        return parts_.back() != opaque &&
               std::any_of(parts_.begin(), parts_.end(), [](std::string_view s) { return s.starts_with(leftover); });
    }

    // ---- Paths --------------------------------------------------------------------------------

    // The components of a name as in a chroot: "..", lexically, never leads above the root.
    static void clean(std::string_view path, std::vector<std::string_view>& parts) {
        parts.clear();
        while (!path.empty()) {
            const auto slash = path.find('/');
            const auto part = path.substr(0, slash);
            path = slash == std::string_view::npos ? std::string_view{} : path.substr(slash + 1);
            if (part.empty() || part == ".") continue;
            if (part != "..")
                parts.push_back(part);
            else if (!parts.empty())
                parts.pop_back();
        }
    }

    // The directory of parts_, remembered for the next entry, which mostly lies in the same one.
    Place parent(std::string_view path, bool make) {
        const auto slash = path.rfind('/');
        const std::string_view text = slash == std::string_view::npos ? std::string_view{} : path.substr(0, slash);
        // The text tells the directory only when nothing is to be cleaned up at its end.
        const bool plain = make && !path.ends_with('/') && !path.ends_with("/.") && !path.ends_with("/..") &&
                           path != "." && path != "..";
        if (plain && last_valid_ && text == last_text_) return last_;
        const Place p = walk({parts_.data(), parts_.size() - 1}, make);
        if (plain) {
            last_text_ = text;
            last_ = p;
            last_valid_ = true;
        }
        return p;
    }
    // Whatever may change where a directory's name leads or whether it is hidden.
    void forget_parent() { last_valid_ = false; }

    // The directory that `parts` name, following links that this layer made. `make`: its entry makes
    // missing ones and puts directories where older layers, or this one, have something else.
    Place walk(std::span<const std::string_view> parts, bool make) {
        Place p{Tree::root, trace(Tree::root).cut > layer_};
        unsigned links = 0;
        std::vector<std::string> todo;  // after a link: what is left, the next one last
        size_t i = 0;
        for (;;) {
            std::string_view part;
            std::string kept;
            if (!todo.empty()) {
                kept = std::move(todo.back());
                todo.pop_back();
                part = kept;
            } else if (i < parts.size()) {
                part = parts[i++];
            } else {
                return p;
            }
            if (part == "..") {
                p = rise(p.node);
                continue;
            }
            const Node n = child(p.node, part);
            Trace& t = trace(n);
            if (t.seen == layer_ && t.is_link) {
                if (++links > most_links) bad("too many levels of symbolic links on the way to " + joined(parts));
                std::vector<std::string_view> target;
                const std::string_view text = link_text(n);
                size_t at = 0;
                while (at <= text.size()) {
                    const auto slash = std::min(text.find('/', at), text.size());
                    const auto piece = text.substr(at, slash - at);
                    if (!piece.empty() && piece != ".") target.push_back(piece);
                    at = slash + 1;
                }
                todo.insert(todo.end(), target.rbegin(), target.rend());
                if (text.starts_with('/')) p = {Tree::root, trace(Tree::root).cut > layer_};
                continue;
            }
            const bool hidden = p.hidden || t.selfcut > layer_;
            if (make) {
                if (!hidden) make_directory(n);
                if (t.seen == layer_ && t.kind != Trace::Kind::directory) t.kind = Trace::Kind::directory;
                t.walked = layer_;
            }
            p = {n, hidden || t.cut > layer_};
        }
    }

    // The parent of a directory, and whether what lies in it is hidden.
    Place rise(Node n) {
        const Node up = tree_.parent(n);
        bool hidden = trace(up).cut > layer_;
        for (Node i = up; i != Tree::root; i = tree_.parent(i))
            hidden = hidden || trace(i).selfcut > layer_ || trace(tree_.parent(i)).cut > layer_;
        return {up, hidden};
    }

    std::string_view link_text(Node n) {
        if (const auto at = link_texts_.find(n); at != link_texts_.end()) return at->second;
        const Tree::Inode& i = tree_.inode(tree_.file(n));
        return {i.target ? i.target : "", i.size};
    }

    static std::string joined(std::span<const std::string_view> parts) {
        std::string out;
        for (const auto p : parts) out.append(out.empty() ? "" : "/").append(p);
        return out;
    }

    // ---- Whiteouts ------------------------------------------------------------------------------

    void white_out(std::string_view base) {
        forget_parent();
        if (base == opaque) {
            const Place dir = walk({parts_.data(), parts_.size() - 1}, false);
            Trace& t = trace(dir.node);
            t.cut = std::max(t.cut, layer_);
            return;
        }
        const std::string_view name = base.substr(whiteout.size());
        if (name.empty() || name == "." || name == "..") bad("a whiteout without a name: " + joined(parts_));
        const Place dir = walk({parts_.data(), parts_.size() - 1}, false);
        Trace& t = trace(child(dir.node, name));
        t.selfcut = std::max(t.selfcut, layer_);
        t.cut = std::max(t.cut, layer_);
    }

    // ---- Directories ------------------------------------------------------------------------------

    // A visible directory without attributes of its own, yet.
    void make_directory(Node n) {
        Trace& t = trace(n);
        if (tree_.present(n)) {
            if (tree_.is_directory(n)) return;
            forget_parent();  // a file of this layer
        }
        tree_.place(n, tree_.add_file(implied()));
        t.layer = layer_;
        t.attr = 0;
    }
    static Tree::Inode implied() {
        Tree::Inode i;
        i.mode = S_IFDIR | 0755;
        return i;
    }

    void directory(Place p, const TarEntry& e, LayerEntries& tar) {
        Trace& t = trace(p.node);
        if (t.awaited) bind_directory(p.node);
        if (t.seen == layer_ && t.kind != Trace::Kind::directory) forget_parent();
        if (!p.hidden) {
            make_directory(p.node);
            if (t.attr == 0 || t.attr == layer_) {
                attributes(tree_.inode(tree_.file(p.node)), S_IFDIR, e, tar);
                t.attr = layer_;
            }
        }
        t.seen = t.walked = layer_;
        t.kind = Trace::Kind::directory;
        t.is_link = false;
    }

    void attributes(Tree::Inode& i, uint32_t type, const TarEntry& e, LayerEntries& tar) {
        i.mode = type | e.permissions;
        i.uid = e.uid, i.gid = e.gid;
        i.mtime = e.mtime;
        Tree::Xattrs set = tar.xattrs();
        uint64_t bytes = 0;
        std::erase_if(set, [&](const auto& x) {
            bytes += x.first.size() + x.second.size();
            return !is_kept_xattr(x.first);
        });
        if (bytes > limits_.xattr_bytes)
            too_much("the extended attributes of " + std::string(e.path) + " are larger than the limit of " +
                         std::to_string(limits_.xattr_bytes) + " bytes",
                     "limits.xattr_bytes");
        i.xattrs = tree_.intern_xattrs(set);
    }

    // ---- Everything that is no directory ------------------------------------------------------------

    // Prepares a name for something that is no directory: what this layer had there and below is gone, a
    // newer layer's directory hides the entry and cuts off what older layers have. Tells if it is hidden.
    bool claim(Place p) {
        Trace& t = trace(p.node);
        if (t.seen == layer_ || t.walked == layer_) forget_parent();
        if (t.walked == layer_) undo(p.node);
        if (p.hidden) return true;
        if (tree_.present(p.node) && t.layer > layer_) {
            forget_parent();
            t.cut = std::max(t.cut, layer_);
            t.selfcut = std::max(t.selfcut, layer_);
            return true;
        }
        return false;
    }

    // Takes back what the present layer did below `top`, and attributes that it gave to it.
    void undo(Node top) {
        std::vector<Node> todo{top};
        take_back_attributes(top);
        while (!todo.empty()) {
            const Node dir = todo.back();
            todo.pop_back();
            trace(dir).walked = 0;
            tree_.each_child(dir, [&](Node c) {
                if (++undone_ > most_undoing) bad("replaces directories by files far too often", Code::limit);
                Trace& t = trace(c);
                if (t.walked == layer_) todo.push_back(c);
                if (t.seen == layer_) t.seen = 0;
                if (tree_.present(c) && t.layer == layer_) {
                    tree_.clear(c);
                    t.layer = 0;
                    // What made it visible hid older layers only because it was there.
                    t.attr = 0;
                } else {
                    take_back_attributes(c);
                }
                return true;
            });
        }
    }
    void take_back_attributes(Node n) {
        Trace& t = trace(n);
        if (!tree_.present(n) || t.layer == layer_ || t.attr != layer_) return;
        t.attr = 0;
        tree_.inode(tree_.file(n)) = implied();
    }

    // The name is this layer's now and hides all older ones.
    void place(Node n, File f) {
        Trace& t = trace(n);
        tree_.place(n, f);
        t.layer = layer_;
        t.attr = 0;
        t.selfcut = std::max(t.selfcut, layer_);
        t.cut = std::max(t.cut, layer_);  // an opaque marker of a newer layer may have cut deeper
    }

    void other(Place p, const TarEntry& e, LayerEntries& tar) {
        const bool hidden = claim(p);
        Trace& t = trace(p.node);
        Waiting* waiting = t.awaited ? first_waiting(p.node) : nullptr;
        const bool is_link = e.kind == TarEntry::Kind::symlink;
        File f = Tree::none;
        if (!hidden || waiting) {
            f = tree_.add_file({});
            fill(f, e, tar, hidden ? waiting->link : p.node);
            if (!hidden) place(p.node, f);
            if (waiting) bind(p.node, f);
        }
        t.seen = layer_;
        t.is_link = is_link;
        if (is_link) forget_parent();
        if (!hidden) {
            t.kind = Trace::Kind::visible;
            if (is_link) link_texts_.erase(p.node);
        } else {
            // What newer links kept is there for this layer's links as well.
            t.kind = f == Tree::none ? Trace::Kind::hidden : Trace::Kind::file;
            t.ref = f == Tree::none ? entry_number_ : f;
            if (is_link) link_texts_[p.node] = e.target;
        }
    }

    // Attributes and bytes of an entry; `n` is the name that it will have.
    void fill(File f, const TarEntry& e, LayerEntries& tar, Node n) {
        Tree::Inode i;
        uint32_t type = S_IFREG;
        switch (e.kind) {
            case TarEntry::Kind::symlink:
                type = S_IFLNK;
                if (e.target.empty()) bad("a symbolic link without a target: " + std::string(e.path));
                i.size = e.target.size();
                i.target = tree_.text(e.target);
                break;
            case TarEntry::Kind::character:
                type = S_IFCHR;
                if (e.major == 0 && e.minor == 0)
                    warn("the character device 0:0 " + std::string(e.path) +
                         " is kept; overlay file systems take it for a deleted file");
                break;
            case TarEntry::Kind::block: type = S_IFBLK; break;
            case TarEntry::Kind::fifo: type = S_IFIFO; break;
            default: break;
        }
        i.major = e.major, i.minor = e.minor;
        attributes(i, type, e, tar);
        if (type == S_IFLNK) i.mode = S_IFLNK | 0777;  // as Linux has it, whatever the archive says
        if (type == S_IFREG && e.size > 0) {
            if (e.size > limits_.file_size)
                too_much(std::string(e.path) + " has " + std::to_string(e.size) + " bytes, more than the limit of " +
                             std::to_string(limits_.file_size),
                         "limits.file_size");
            if (e.size > limits_.image_size - bytes_)
                too_much("the files of the image have more than " + std::to_string(limits_.image_size) + " bytes",
                         "limits.image_size");
            bytes_ += e.size;
            i.size = e.size;
            // In a layer by the entry's own place, which is the same in every image.
            const std::string path = tree_.path(place_ == Tree::none ? n : place_);
            i.content = is_stored_ ? writer_.stored(path) : writer_.content(path, e.size, tar.data());
            taken_ = true;
        }
        tree_.inode(f) = i;
    }

    // ---- Hard links -------------------------------------------------------------------------------

    void hard_link(Place p, const TarEntry& e) {
        clean(e.target, target_parts_);
        if (target_parts_.empty()) bad("the hard link " + joined(parts_) + " leads to the root directory");
        const Place dir = walk({target_parts_.data(), target_parts_.size() - 1}, false);
        const Node target = child(dir.node, target_parts_.back());
        if (target == p.node) return;  // a name for itself

        // What the target is, before the name is changed (the target may lie below it).
        Trace::Kind kind = Trace::Kind::older;
        uint32_t ref = target;
        bool is_link = false;
        if (const Trace& t = trace(target); t.seen == layer_) {
            kind = t.kind;
            ref = t.ref;
            is_link = t.is_link;
            if (kind == Trace::Kind::directory)
                bad("the hard link " + joined(parts_) + " leads to the directory " + joined(target_parts_));
            if (kind == Trace::Kind::visible) {
                kind = Trace::Kind::file;
                ref = tree_.file(target);
            }
        }
        std::string text;
        if (is_link) text = link_text(target);

        const bool hidden = claim(p);
        Trace& t = trace(p.node);
        const bool awaited = t.awaited && first_waiting(p.node);
        if (!hidden || awaited) {
            File f = ref;
            if (kind == Trace::Kind::hidden)
                f = again(ref);
            else if (kind == Trace::Kind::older)
                f = wait(ref, p.node);
            if (!hidden) place(p.node, f);
            if (awaited) bind(p.node, f);
        }
        t.seen = layer_;
        t.is_link = is_link;
        if (is_link) forget_parent();
        if (!hidden) {
            t.kind = Trace::Kind::visible;
        } else {
            t.kind = kind;
            t.ref = ref;
        }
        if (is_link) link_texts_[p.node] = text;
    }

    // The file that entry number `number` of this layer will be once the layer is read again.
    File again(uint32_t number) {
        auto& wanted = again_[layer_];
        const auto [at, fresh] = wanted.try_emplace(number, Tree::none);
        if (fresh) at->second = tree_.add_file({});
        return at->second;
    }

    // The file that older layers have at `target`, once it turns up.
    File wait(Node target, Node link) {
        trace(target).awaited = true;
        auto& all = waiting_[target];
        for (const Waiting& w : all)
            if (w.layer == layer_) return w.file;
        all.push_back({tree_.add_file({}), link, layer_});
        return all.back().file;
    }

    // Those that an entry of this layer at `n` satisfies: links of newer layers that no layer between
    // satisfied. The same name twice in this layer: the last one counts.
    bool is_due(const Waiting& w) const { return w.layer > layer_ && (w.bound == 0 || w.bound == layer_); }
    Waiting* first_waiting(Node n) {
        for (Waiting& w : waiting_[n])
            if (is_due(w)) return &w;
        return nullptr;
    }
    void bind(Node n, File f) {
        for (Waiting& w : waiting_[n]) {
            if (!is_due(w)) continue;
            tree_.unite(w.file, f);
            w.bound = layer_;
            w.is_directory = false;
        }
    }
    // Wrong, unless this layer has something else of that name later.
    void bind_directory(Node n) {
        for (Waiting& w : waiting_[n]) {
            if (!is_due(w)) continue;
            tree_.part(w.file);
            w.bound = layer_;
            w.is_directory = true;
        }
    }

    void check_waiting() {
        std::unordered_map<Node, const Waiting*> missing;
        std::unordered_map<File, Node> needed;
        for (const auto& [target, all] : waiting_)
            for (const Waiting& w : all)
                if (w.bound == 0 || w.is_directory) {
                    missing.emplace(target, &w);
                    needed.emplace(w.file, target);
                }
        if (missing.empty()) return;
        // Only names that are still there matter.
        for (Node n = 0; n < tree_.node_count(); ++n) {
            if (!tree_.present(n)) continue;
            const auto at = needed.find(tree_.file(n));
            if (at == needed.end()) continue;
            const Waiting& w = *missing[at->second];
            layer_ = w.layer;
            bad("the hard link " + tree_.path(n) + " leads to " +
                (w.is_directory ? "the directory " + tree_.path(at->second)
                                : tree_.path(at->second) + ", which does not exist"));
        }
    }

    // ---- The second read ----------------------------------------------------------------------------

    // Bytes that only a hard link keeps and that were skipped, because its target is hidden.
    void read_again() {
        if (again_.empty()) return;
        std::unordered_map<File, Node> names;
        for (Node n = 0; n < tree_.node_count(); ++n)
            if (tree_.present(n) && !tree_.is_directory(n)) names.try_emplace(tree_.file(n), n);
        while (!again_.empty()) {
            const auto last = std::prev(again_.end());
            layer_ = last->first;
            auto wanted = std::move(last->second);
            again_.erase(last);
            log::debug(layer_name(input()) + ": is read again for " + std::to_string(wanted.size()) + " hard links");
            const bool stored = input().stored && input().stored->complete();
            const auto stream = stored ? nullptr : open(layer_ - 1u);
            place_ = Tree::none;
            in_layer([&] {
                std::unique_ptr<LayerEntries> entries;
                if (stream)
                    entries = std::make_unique<TarReader>(*stream);
                else
                    entries = input().stored->entries();
                LayerEntries& tar = *entries;
                TarEntry e;
                for (uint32_t number = 0; tar.next(e); ++number) {
                    if (call_) call_->cancel.poll();
                    const auto at = wanted.find(number);
                    if (at == wanted.end()) continue;
                    const auto name = names.find(at->second);
                    if (name != names.end()) fill(at->second, e, tar, name->second);
                    wanted.erase(at);
                }
                if (!wanted.empty()) bad("changed while it was read");
                tar.drain();
            });
        }
    }

    std::span<LayerInput> layers_;
    ImageWriter& writer_;
    const MergeLimits limits_;
    const MergeOptions options_;
    const sg_call* call_;
    std::shared_ptr<BufferPool> pool_;

    Tree tree_;
    Arena<Trace> traces_;  // by node
    Layer layer_ = 0;
    uint32_t entry_number_ = 0;
    Node place_ = Tree::none;  // of the present entry, when it has one
    bool taken_ = false;       // its bytes went to the writer
    bool is_stored_ = false;   // the layer comes from a segment
    uint64_t entries_ = 0, bytes_ = 0, undone_ = 0, warnings_ = 0;
    std::vector<std::string_view> parts_, target_parts_;
    std::unordered_map<Node, std::string> link_texts_;  // of this layer's symbolic links that are not in the tree
    std::unordered_map<Node, std::vector<Waiting>> waiting_;
    std::map<Layer, std::map<uint32_t, File>> again_;  // layer -> entry number -> file

    bool last_valid_ = false;
    std::string last_text_;
    Place last_{Tree::root, false};
};

}  // namespace

Tree merge_layers(std::span<LayerInput> base_first, ImageWriter& writer, const MergeLimits& limits,
                  const MergeOptions& options, const sg_call* call) {
    return Merge(base_first, writer, limits, options, call).run();
}

}  // namespace sg
