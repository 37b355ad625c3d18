#include "runtime/told_image.hpp"

#include <sys/stat.h>

#include <algorithm>

#include "base/error.hpp"
#include "base/log.hpp"
#include "runtime/image_records.hpp"
#include "runtime/image_signers.hpp"

namespace sg::runtime {

namespace {

constexpr std::string_view digest_start = "sha256:";
constexpr size_t digest_size = 7 + 64;

bool is_digest(std::string_view text) {
    return text.size() == digest_size && text.starts_with(digest_start) &&
           std::all_of(text.begin() + digest_start.size(), text.end(),
                       [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

// Of the digest in a record that begins with `head`; "" when it is of another file.
std::string digest_in(std::string_view record, const std::string& head) {
    if (!record.starts_with(head) || !record.ends_with('\n')) return {};
    record.remove_prefix(head.size());
    record.remove_suffix(1);
    return is_digest(record) ? std::string(record) : std::string();
}

template <class F>
void or_warn(const std::string& what, const std::string& path, F&& find) {
    try {
        find();
    } catch (const Error& e) {
        if (e.code() == Code::cancelled) throw;
        log::warning("hooks are not told " + what + " " + path + ": " + e.message());
    }
}

}  // namespace

std::string image_digest(const Settings& settings, const std::string& path, const ReadDigest& read) {
    struct stat before {};
    if (::stat(path.c_str(), &before) != 0) throw_errno("cannot open", path);
    if (!S_ISREG(before.st_mode)) return {};
    const ImageRecords records(settings, "digests", before);
    const std::string head = "digest 1\nimage" + stamp_of(before) + "\n";
    if (std::string known = digest_in(records.read(), head); !known.empty()) return known;
    const int64_t now = real_time_ns();
    log::verbose("Reading the digest of " + path);
    std::string digest = read(path);
    if (stamp_of(path) != stamp_of(before))
        throw Error(Code::invalid, path + " changed while its digest was read", "Try again.");
    if (is_settled(before, now)) records.write(head + digest + "\n");
    return digest;
}

void find_out_for_hooks(PluginHost& plugins, std::initializer_list<std::string_view> events, ToldImage& image,
                        const ReadDigest& read, const sg_call* call) {
    bool digest = false, signers = false;
    for (const auto event : events) {
        digest = digest || plugins.wants_digest(event);
        signers = signers || plugins.wants_signers(event);
    }
    if (digest && image.digest.empty())
        or_warn("the digest of", image.path,
                [&] { image.digest = image_digest(plugins.settings(), image.path, read); });
    if (signers && !image.signers)
        or_warn("who signed", image.path, [&] { image.signers = image_signers(plugins, image.path, call); });
}

void tell_hooks(PluginHost& plugins, const char* event, const ToldImage& image, int exit_status) {
    std::vector<const char*> signers;
    if (image.signers) {
        for (const auto& s : *image.signers) signers.push_back(s.c_str());
        signers.push_back(nullptr);
    }
    plugins.notify({event, image.reference.c_str(), image.digest.c_str(), image.path.c_str(),
                    image.signers ? signers.data() : nullptr, exit_status});
}

}  // namespace sg::runtime
