#include "build/stage_inputs.hpp"

#include <algorithm>

#include "store/sha256.hpp"

namespace sg {

namespace {

// One line of text, whatever somebody called a file.
std::string shown(const std::string& name) {
    std::string out = name;
    std::replace_if(
        out.begin(), out.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, '?');
    return out;
}

constexpr size_t digest_length = 64;

}  // namespace

void StageInputs::add(const std::string& name, std::string_view value) { put(shown(name), sha256_hex(value), true); }
void StageInputs::note(const std::string& name, std::string_view value) { put(shown(name), sha256_hex(value), false); }

// Two inputs of one name are told apart by their order.
void StageInputs::put(const std::string& name, std::string digest, bool counts) {
    Input input{name, std::move(digest), counts};
    for (int number = 2; find(input); ++number) input.name = name + " (" + std::to_string(number) + ")";
    inputs_.push_back(std::move(input));
}

const StageInputs::Input* StageInputs::find(const Input& like) const {
    const auto it = std::find_if(inputs_.begin(), inputs_.end(),
                                 [&](const Input& i) { return i.name == like.name && i.counts == like.counts; });
    return it == inputs_.end() ? nullptr : &*it;
}

std::string StageInputs::key() const {
    std::string all = "inputs 1\n";
    for (const Input& i : inputs_)
        if (i.counts) all += i.digest + " " + i.name + "\n";
    return sha256_hex(all);
}

std::string StageInputs::text() const {
    std::string out;
    for (const Input& i : inputs_) out += (i.counts ? "" : "note ") + i.digest + " " + i.name + "\n";
    return out;
}

StageInputs StageInputs::parse(std::string_view text) {
    StageInputs out;
    for (size_t at = 0; at < text.size();) {
        const size_t end = std::min(text.find('\n', at), text.size());
        std::string_view line = text.substr(at, end - at);
        at = end + 1;
        const bool counts = !line.starts_with("note ");
        if (!counts) line.remove_prefix(5);
        if (line.size() <= digest_length + 1 || line[digest_length] != ' ') continue;
        out.inputs_.push_back(
            {std::string(line.substr(digest_length + 1)), std::string(line.substr(0, digest_length)), counts});
    }
    return out;
}

std::vector<std::string> StageInputs::changed_since(const StageInputs& earlier) const {
    std::vector<std::string> notes, out;
    for (const Input& i : inputs_) {
        const Input* before = earlier.find(i);
        if (before && before->digest == i.digest) continue;
        (i.counts ? out : notes).push_back(i.name + (before ? " changed" : " is new"));
    }
    for (const Input& i : earlier.inputs_)
        if (!find(i)) (i.counts ? out : notes).push_back(i.name + " is gone");
    if (!out.empty()) out.insert(out.begin(), notes.begin(), notes.end());
    return out;
}

}  // namespace sg
