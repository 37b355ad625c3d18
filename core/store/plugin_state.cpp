#include "store/plugin_state.hpp"

#include <dirent.h>
#include <singularity/state.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <vector>

#include "base/error.hpp"
#include "store/new_file.hpp"
#include "store/output.hpp"
#include "store/private_directory.hpp"
#include "store/records.hpp"

namespace sg {

namespace {

// Those of manifests.
constexpr std::string_view name_characters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.+";

std::string directory_of(const std::string& root) { return root + "/state"; }

// "SECONDS-SINCE-1970\nTEXT": until when the text lives.
struct Kept {
    int64_t until = 0;
    std::string text;
};

std::optional<Kept> read(const std::string& root, const std::string& path) {
    auto content = Records(root).read_file(path);
    if (!content || content->size() > SG_STATE_MAX + 32) return std::nullopt;
    const size_t line = content->find('\n');
    if (line == std::string::npos) return std::nullopt;
    Kept kept;
    const char* const end = content->data() + line;
    const auto number = std::from_chars(content->data(), end, kept.until);
    const int64_t now = ::time(nullptr);
    // A clock that was wrong once must not keep it for ever.
    if (number.ec != std::errc() || number.ptr != end || kept.until <= now ||
        kept.until > now + int64_t{SG_STATE_SECONDS_MAX})
        return std::nullopt;
    kept.text = content->substr(line + 1);
    return kept;
}

void remove_old(const std::string& root, const std::string& directory) {
    std::vector<std::pair<int64_t, std::string>> left;
    const std::unique_ptr<DIR, int (*)(DIR*)> dir(opendir(directory.c_str()), closedir);
    if (!dir) return;
    while (const dirent* e = readdir(dir.get())) {
        if (e->d_name[0] == '.') continue;
        const std::string path = directory + "/" + e->d_name;
        const auto kept = read(root, path);
        if (kept)
            left.emplace_back(kept->until, path);
        else
            remove_tree(path);
    }
    if (left.size() < PluginState::most_texts) return;
    std::sort(left.begin(), left.end());
    left.resize(left.size() - PluginState::most_texts + 1);
    for (const auto& [until, path] : left) unlink(path.c_str());
}

}  // namespace

PluginState::PluginState(std::string root, std::string path, uint64_t seconds, std::unique_ptr<Lease> lease)
    : root_(std::move(root)), path_(std::move(path)), seconds_(seconds), lease_(std::move(lease)) {}

std::unique_ptr<PluginState> PluginState::take(const std::string& root, const std::string& plugin,
                                               const std::string& key, uint64_t seconds) {
    if (plugin.empty() || plugin[0] == '.' || plugin.size() > 64 ||
        plugin.find_first_not_of(name_characters) != std::string::npos)
        throw Error(Code::invalid, "'" + plugin + "' is no name of a plugin");
    auto lease = Lease::take_if_free(root, Records::name_of("state-", plugin + "\n" + key));
    if (!lease) return nullptr;
    const std::string directory = directory_of(root) + "/" + plugin;
    make_private_directory(directory_of(root));
    make_private_directory(directory);
    remove_old(root, directory);
    return std::unique_ptr<PluginState>(new PluginState(root, Records::name_of(directory + "/", key),
                                                        std::min<uint64_t>(seconds, SG_STATE_SECONDS_MAX),
                                                        std::move(lease)));
}

std::optional<std::string> PluginState::get() const {
    auto kept = read(root_, path_);
    if (!kept) return std::nullopt;
    return std::move(kept->text);
}

void PluginState::put(std::string_view text) const {
    if (text.size() >= SG_STATE_MAX)
        throw Error(Code::limit,
                    "a text of " + std::to_string(text.size()) + " bytes is too long to be kept for a plugin");
    NewFile file(root_);
    file.append(std::to_string(::time(nullptr) + static_cast<int64_t>(seconds_)) + "\n");
    file.append(text);
    // Not synced: it need not outlive the machine, and what is torn is not used.
    file.place(path_, false);
}

void PluginState::forget() const {
    if (unlink(path_.c_str()) != 0 && errno != ENOENT) throw_errno("cannot remove", path_);
}

void forget_plugin_states(const std::string& root) { remove_tree(directory_of(root)); }

}  // namespace sg
