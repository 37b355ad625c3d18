#include "build/changes_cache.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/error.hpp"
#include "build/descriptor_stream.hpp"
#include "base/log.hpp"
#include "base/whole_io.hpp"

namespace sg {

namespace {

constexpr char magic[8] = {'S', 'G', 'C', 'H', 'N', 'G', '2', '\n'};
constexpr uint64_t most_text = 32u << 20;

class Tee final : public singularity::Stream {
public:
    Tee(std::unique_ptr<singularity::Stream> from, std::unique_ptr<OutputFile>& to) : from_(std::move(from)), to_(to) {}
    singularity::Slice next() override {
        singularity::Slice s = from_->next();
        if (to_ && s.size() > 0 && !write_all(to_->fd(), s.data(), static_cast<size_t>(s.size()))) {
            log::verbose("the changes of this build are not kept: " + std::string(std::strerror(errno)));
            to_.reset();
        }
        return s;
    }

private:
    std::unique_ptr<singularity::Stream> from_;
    std::unique_ptr<OutputFile>& to_;
};

std::string header_of(const ScriptResults& r) {
    std::string out(magic, sizeof magic);
    out.push_back(static_cast<char>((r.unpacked ? 1 : 0) | (r.owners_unknown ? 2 : 0) | (r.environment ? 4 : 0)));
    for (const std::string& text : {r.labels, r.environment.value_or(""), r.metadata}) {
        const uint64_t size = text.size();
        out.append(reinterpret_cast<const char*>(&size), sizeof size).append(text);
    }
    return out;
}

bool read_header(int fd, ScriptResults& r) {
    char head[sizeof magic + 1];
    if (!read_exactly(fd, head, sizeof head) || std::memcmp(head, magic, sizeof magic) != 0) return false;
    const char flags = head[sizeof magic];
    std::string texts[3];
    for (std::string& text : texts) {
        uint64_t size = 0;
        if (!read_exactly(fd, &size, sizeof size) || size > most_text) return false;
        text.resize(static_cast<size_t>(size));
        if (!read_exactly(fd, text.data(), text.size())) return false;
    }
    r.unpacked = flags & 1;
    r.owners_unknown = flags & 2;
    r.labels = std::move(texts[0]);
    r.metadata = std::move(texts[2]);
    if (flags & 4) r.environment = std::move(texts[1]);
    return true;
}

}  // namespace

std::optional<KeptChanges> ChangesCache::find() const {
    const auto found = kept_.find(name, inputs_);
    if (!found) return std::nullopt;
    UniqueFd fd(open(found->path.c_str(), O_RDONLY | O_CLOEXEC));
    KeptChanges out;
    out.age = found->age;
    if (!fd || !read_header(fd.get(), out.results)) return std::nullopt;
    out.tar = std::make_unique<DescriptorStream>(std::move(fd), "the cache");
    return out;
}

std::unique_ptr<singularity::Stream> ChangesCache::keeping(std::unique_ptr<singularity::Stream> tar, const ScriptResults& results) {
    if (!kept_.enabled()) return tar;
    try {
        file_ = std::make_unique<OutputFile>(kept_.place(name, inputs_));
        (void)fchmod(file_->fd(), 0600);  // it may hold what was secret while it was built
        const std::string header = header_of(results);
        if (!write_all(file_->fd(), header.data(), header.size())) file_.reset();
    } catch (const Error& e) {
        log::verbose("the changes of this build are not kept: " + e.message());
        file_.reset();
    }
    return std::make_unique<Tee>(std::move(tar), file_);
}

void ChangesCache::keep() {
    if (!file_) return;
    try {
        file_->commit();
        kept_.stored(file_->target(), inputs_);
    } catch (const Error& e) {
        log::verbose("the changes of this build are not kept: " + e.message());
    }
    file_.reset();
}

}  // namespace sg
