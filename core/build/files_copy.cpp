#include "build/files_copy.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <map>

#include "base/call.hpp"
#include "base/error.hpp"
#include "base/log.hpp"
#include "build/files_words.hpp"

namespace sg {

using definition::FilePair;

namespace {

constexpr int deepest = 200;  // directories below each other: more is a loop

std::string without_slashes(std::string path) {
    while (path.size() > 1 && path.back() == '/') path.pop_back();
    return path;
}

std::string base_name(const std::string& path) {
    const std::string plain = without_slashes(path);
    return plain.substr(plain.rfind('/') + 1);
}

// A lexically clean path below the root: ".." never leads above it.
std::string joined(const std::string& top, const std::string& path) {
    std::vector<std::string> parts;
    for (const std::string& text : {top, path})
        for (size_t at = 0; at <= text.size();) {
            const size_t end = std::min(text.find('/', at), text.size());
            const std::string part = text.substr(at, end - at);
            at = end + 1;
            if (part.empty() || part == ".") continue;
            if (part == "..") {
                if (!parts.empty()) parts.pop_back();
            } else {
                parts.push_back(part);
            }
        }
    std::string out;
    for (const auto& part : parts) out += "/" + part;
    return out.empty() ? "/" : out;
}

class Copier {
public:
    Copier(const definition::Text& text, const FilesSource& source, FilesTarget& target, const FilesRules& rules, const sg_call* call)
        : text_(text), source_(source), target_(target), rules_(rules), call_(call) {}

    void pair(const FilePair& pair) {
        std::vector<std::string> paths;
        placed(pair, [&] { paths = sources(pair.source); });
        const bool into = pair.destination.ends_with('/');
        for (const std::string& path : paths) {
            names_.clear();
            std::string to = pair.destination.empty() ? path : pair.destination;
            to = joined(rules_.top, to);
            target_.begin(source_.shown(path), to);
            const auto kind = target_.kind(to);
            if (into && kind == FilesTarget::Kind::none) target_.directory(to, 0755, 0);
            const std::string base = base_name(path);
            // cp puts a source into a directory that is there; "." and ".." mean their contents.
            if ((into || kind == FilesTarget::Kind::directory || paths.size() > 1) && base != "." && base != ".." && base != "/" && !pair.destination.empty())
                to = joined(to, base);
            placed(pair, [&] { copy(path, to, true, 0); });
        }
    }

private:
    template <class Do>
    void placed(const FilePair& pair, const Do& what) const {
        try {
            what();
        } catch (const Error& e) {
            if (e.code() == Code::cancelled || e.code() == Code::no_space) throw;
            const Error at_line = text_.error(pair.at, e.message(), e.hint());
            throw Error(e.code(), at_line.message(), at_line.hint());
        }
    }

    // A file may have a name that is a pattern.
    std::vector<std::string> sources(const std::string& text) const {
        if (source_.look(text, false)) return {text};
        std::vector<std::string> out;
        for (const std::string& word : shell_words(text)) {
            const auto found = expand_pattern(source_, word);
            if (found.empty())
                throw Error(Code::not_found, "no such file or directory: " + source_.shown(word), "%files copies from where the build is started, or from absolute paths.");
            out.insert(out.end(), found.begin(), found.end());
        }
        return out;
    }

    int64_t time(int64_t t) const {
        t = std::max<int64_t>(t, 0);
        return rules_.clamp ? std::min(t, *rules_.clamp) : t;
    }

    void copy(const std::string& from, const std::string& to, bool named, int depth) {
        if (call_) call_->cancel.poll();
        const bool follow = named || !rules_.as_made;
        const auto entry = source_.look(from, follow);
        if (!entry) {
            if (source_.look(from, false)) throw Error(Code::not_found, "the symbolic link " + source_.shown(from) + " leads nowhere");
            throw Error(Code::not_found, "no such file or directory: " + source_.shown(from));
        }
        const uint32_t permissions = entry->mode & 0775;  // umask 0002
        switch (entry->mode & S_IFMT) {
            case S_IFDIR: return directory(from, to, *entry, permissions, depth);
            case S_IFREG:
                if (target_.kind(to) == FilesTarget::Kind::directory) throw Error(Code::invalid, "cannot replace the directory " + to + " by a file");
                return file(from, to, *entry, permissions, named);
            case S_IFLNK:
                target_.symlink(to, source_.link_target(from), time(entry->mtime));
                return give(to, *entry);
            default: throw Error(Code::unsupported, source_.shown(from) + " is no file, directory or link, and is not copied");
        }
    }

    void give(const std::string& to, const FilesSource::Entry& entry) {
        if (rules_.as_made) target_.give(to, entry.mode, entry.uid, entry.gid);
    }

    void file(const std::string& from, const std::string& to, const FilesSource::Entry& entry, uint32_t permissions, bool named) {
        if (rules_.as_made && entry.nlink > 1 && !named) {
            const auto [at, fresh] = names_.try_emplace(entry.identity, to);
            if (!fresh) return target_.link(to, at->second);
        }
        target_.file(to, permissions, time(entry.mtime), {source_, from, entry.size});
        give(to, entry);
    }

    void directory(const std::string& from, const std::string& to, const FilesSource::Entry& entry, uint32_t permissions, int depth) {
        if (std::find(above_.begin(), above_.end(), entry.identity) != above_.end() || depth > deepest)
            throw Error(Code::invalid, source_.shown(from) + " is a directory that contains itself");
        const auto kind = target_.kind(to);
        if (kind == FilesTarget::Kind::file || kind == FilesTarget::Kind::other) throw Error(Code::invalid, "cannot replace the file " + to + " by a directory");
        if (kind == FilesTarget::Kind::none) {
            target_.directory(to, permissions, time(entry.mtime));
            give(to, entry);
        }
        above_.push_back(entry.identity);
        const std::string prefix = from.ends_with('/') ? from : from + "/";
        for (const std::string& name : source_.names(from)) copy(prefix + name, to == "/" ? "/" + name : to + "/" + name, false, depth + 1);
        above_.pop_back();
    }

    const definition::Text& text_;
    const FilesSource& source_;
    FilesTarget& target_;
    const FilesRules& rules_;
    const sg_call* call_;
    std::vector<std::pair<uint64_t, uint64_t>> above_;
    std::map<std::pair<uint64_t, uint64_t>, std::string> names_;  // of files with several: where the first was put
};

// ---- A tree in memory --------------------------------------------------------------------------

class TreeTarget final : public FilesTarget {
public:
    TreeTarget(Tree& tree, ImageWriter& writer) : tree_(tree), writer_(writer) {}

    Kind kind(const std::string& path) override {
        if (path == "/") return Kind::directory;
        const auto attr = tree_.find_following(path);
        if (!attr) return Kind::none;
        return S_ISDIR(attr->mode) ? Kind::directory : S_ISREG(attr->mode) ? Kind::file : Kind::other;
    }
    void directory(const std::string& path, uint32_t permissions, int64_t mtime) override {
        tree_.put_directory(resolved(path), permissions, mtime);
    }
    void file(const std::string& path, uint32_t permissions, int64_t mtime, const Bytes& bytes) override {
        const std::string place = resolved(path);
        // As cp does, what is there keeps its mode.
        if (const auto old = tree_.find(place); old && S_ISREG(old->mode)) permissions = old->mode & 07777;
        uint64_t content = SG_NO_CONTENT, size = 0;
        if (bytes.size > 0) {
            std::optional<uint64_t> taken;
            if (const auto stored = bytes.source.stored(bytes.path)) taken = writer_.adopt(stored->first, stored->second);
            if (taken) {
                content = *taken;
                size = bytes.size;
            } else {
                Exactly data(bytes);
                content = writer_.content(place, bytes.size, data);
                size = bytes.size;
            }
        }
        tree_.put_file(place, permissions, mtime, size, content);
    }
    void symlink(const std::string& path, const std::string& target, int64_t mtime) override { tree_.put_symlink(path, target, mtime); }
    void give(const std::string& path, uint32_t mode, uint32_t uid, uint32_t gid) override {
        tree_.give(S_ISLNK(mode) ? path : resolved(path), mode, uid, gid);
    }
    void link(const std::string& path, const std::string& first) override { tree_.put_link(path, resolved(first)); }

private:
    // A file that grows or shrinks while it is read would break the image.
    class Exactly final : public singularity::Stream {
    public:
        explicit Exactly(const Bytes& bytes) : path_(bytes.source.shown(bytes.path)), left_(bytes.size), stream_(bytes.source.open(bytes.path)) {}
        singularity::Slice next() override {
            if (left_ == 0) return {};
            singularity::Slice s = stream_->next();
            if (s.size() == 0) throw Error(Code::io, path_ + " became shorter while it was copied");
            if (s.size() > left_) throw Error(Code::io, path_ + " grew while it was copied");
            left_ -= s.size();
            return s;
        }

    private:
        std::string path_;
        uint64_t left_;
        std::unique_ptr<singularity::Stream> stream_;
    };

    // Where a link at `path` leads to, inside the root; `path` itself when there is none or it leads nowhere.
    std::string resolved(const std::string& path) const {
        std::string at = path;
        for (int i = 0; i < 40; ++i) {
            const auto target = tree_.link_target(at);
            if (!target) return at;
            at = joined(target->starts_with('/') ? "" : at.substr(0, at.rfind('/') + 1), *target);
        }
        throw Error(Code::corrupt, "a loop of symbolic links at " + path);
    }

    Tree& tree_;
    ImageWriter& writer_;
};

}  // namespace

void FilesTarget::begin(const std::string& from, const std::string& to) { log::info("Copying " + from + " to " + to); }

std::unique_ptr<FilesTarget> tree_target(Tree& tree, ImageWriter& writer) { return std::make_unique<TreeTarget>(tree, writer); }

void copy_files(const definition::Text& text, const std::vector<FilePair>& pairs, const FilesSource& source, FilesTarget& target,
                const FilesRules& rules, const sg_call* call) {
    Copier copier(text, source, target, rules, call);
    for (const FilePair& pair : pairs) copier.pair(pair);
}

}  // namespace sg
