#include "config/settings.hpp"

#include <charconv>
#include <cstring>

#include "base/nearest.hpp"
#include "config/encode.hpp"
#include "config/schema.hpp"

namespace sg {

static constexpr char locked_words[] = ": this site has locked '";

Error locked_error(const std::string& where, std::string_view key, std::string_view lock_file, uint32_t lock_line,
                   const std::string& hint) {
    return Error(Code::permission,
                 where + locked_words + std::string(key) + "' (" + std::string(lock_file) + ":" +
                     std::to_string(lock_line) + ")",
                 hint);
}

bool is_locked_error(const Error& error) {
    return error.code() == Code::permission && error.message().find(locked_words) != std::string::npos;
}

Settings::Settings(const Index& index) : index_(&index) {}

const Settings& Settings::defaults() {
    static const Index index = [] {
        model::Configuration c;
        c.keys = core_schema();
        return Index::owning(encode_index(c));
    }();
    static const Settings settings(index);
    return settings;
}

const Settings::Override* Settings::find_override(uint32_t key) const {
    const auto found = overrides_.find(key);
    return found == overrides_.end() ? nullptr : &found->second;
}

Error Settings::locked(const KeyView& k, const std::string& where) const {
    return locked_error(
        where, k.name, k.lock_file, k.lock_line,
        "Its value is '" + shown(k.name) + "'; ask the administrator of this installation to change it.");
}

KeyView Settings::need(std::string_view key, ValueType type) const {
    const auto k = index_->find_key(key);
    if (!k) throw Error(Code::internal, "no configuration key '" + std::string(key) + "'");
    if (k->type != type)
        throw Error(Code::internal, "configuration key '" + std::string(key) + "' is of type " + type_name(k->type));
    return *k;
}

std::string Settings::text(std::string_view key) const {
    const KeyView k = need(key, ValueType::text);
    const Override* o = find_override(k.number);
    return o ? o->values.at(0) : std::string(k.values.at(0));
}

int64_t Settings::integer(std::string_view key) const {
    const KeyView k = need(key, ValueType::integer);
    const Override* o = find_override(k.number);
    const std::string_view t = o ? std::string_view(o->values.at(0)) : k.values.at(0);
    int64_t n = 0;
    const auto [stop, failure] = std::from_chars(t.data(), t.data() + t.size(), n);
    if (failure != std::errc() || stop != t.data() + t.size())
        throw Error(Code::corrupt, "the value of configuration key '" + std::string(key) + "' is damaged");
    return n;
}

bool Settings::boolean(std::string_view key) const {
    const KeyView k = need(key, ValueType::boolean);
    const Override* o = find_override(k.number);
    return (o ? std::string_view(o->values.at(0)) : k.values.at(0)) == "true";
}

std::vector<std::string> Settings::list(std::string_view key) const {
    need(key, ValueType::list);
    return values(key);
}

std::vector<std::string> Settings::values(std::string_view key) const {
    const auto k = index_->find_key(key);
    if (!k) throw Error(Code::internal, "no configuration key '" + std::string(key) + "'");
    if (const Override* o = find_override(k->number)) return o->values;
    return {k->values.begin(), k->values.end()};
}

std::string Settings::shown(std::string_view key) const {
    std::string out;
    bool first = true;
    for (const auto& v : values(key)) {
        if (!first) out += ", ";
        out += v;
        first = false;
    }
    return out;
}

Origin Settings::origin(std::string_view key) const {
    const auto k = index_->find_key(key);
    if (!k) throw Error(Code::internal, "no configuration key '" + std::string(key) + "'");
    if (const Override* o = find_override(k->number)) return o->origin;
    if (k->file.empty()) return {Layer::builtin, "built-in default"};
    return {k->layer, std::string(k->file) + ":" + std::to_string(k->line)};
}

Origin Settings::origin(std::string_view key, size_t i) const {
    const auto k = index_->find_key(key);
    if (!k || find_override(k->number) || i >= k->places.size()) return origin(key);
    const PlaceView& p = k->places[i];
    if (p.file.empty()) return {Layer::builtin, "built-in default"};
    return {k->layer, std::string(p.file) + ":" + std::to_string(p.line)};
}

bool Settings::has(std::string_view key) const { return index_->find_key(key).has_value(); }

void Settings::apply_environment(const char* const* environment, std::vector<Error>* problems) {
    // SINGULARITY_ wins over APPTAINER_, both over a name without prefix. Rank: lower is stronger.
    struct Found {
        int rank;
        std::string name, value;
    };
    std::map<uint32_t, Found> found;
    for (; environment && *environment; ++environment) {
        const char* equals = std::strchr(*environment, '=');
        if (!equals || equals[1] == '\0') continue;
        const std::string_view name(*environment, static_cast<size_t>(equals - *environment));
        std::optional<uint32_t> key;
        int rank = 0;
        if (name.starts_with("SINGULARITY_"))
            key = index_->find_variable(name.substr(12));
        else if (name.starts_with("APPTAINER_"))
            key = index_->find_variable(name.substr(10)), rank = 1;
        else if (name == "TMPDIR")  // the only kind of name without prefix that core knows
            key = index_->find_variable("=TMPDIR"), rank = 2;
        if (!key) continue;
        // More than one variable of the same rank: the shorter (historic) name wins.
        const auto old = found.find(*key);
        if (old == found.end() || rank < old->second.rank ||
            (rank == old->second.rank && name.size() < old->second.name.size()))
            found[*key] = {rank, std::string(name), equals + 1};
    }
    for (auto& [number, f] : found) {
        try {
            const KeyView k = index_->key(number);
            std::vector<std::string> values;
            if (k.type == ValueType::list) {
                for (size_t at = 0; at <= f.value.size();) {
                    const size_t comma = std::min(f.value.find(',', at), f.value.size());
                    if (comma > at) values.push_back(f.value.substr(at, comma - at));
                    at = comma + 1;
                }
            } else {
                values.push_back(f.value);
            }
            // A plain TMPDIR is no wish of the user's for this program: a lock beats it silently.
            if (f.rank == 2 && !k.lock_file.empty()) continue;
            set(k.name, std::move(values), Layer::environment, f.name);
        } catch (const Error& e) {
            if (!problems) throw;
            problems->push_back(e);
        }
    }
}

void Settings::set(std::string_view key, std::vector<std::string> values, Layer layer, std::string where) {
    const auto k = index_->find_key(key);
    if (!k) {
        std::vector<std::string_view> names;
        for (uint32_t i = 0; i < index_->key_count(); ++i) names.push_back(index_->key(i).name);
        throw Error(Code::usage, where + ": unknown configuration key '" + std::string(key) + "'", did_you_mean(key, names));
    }
    if (k->type != ValueType::list && values.size() != 1)
        throw Error(Code::usage, where + ": configuration key '" + std::string(key) + "' takes one value");
    const std::vector<std::string> choices(k->choices.begin(), k->choices.end());
    try {
        for (auto& v : values) v = canonical_value(k->name, v, k->type, choices);
    } catch (const Error& e) {
        throw Error(Code::usage, where + ": " + e.message());
    }
    if (!k->lock_file.empty()) {
        if (std::equal(values.begin(), values.end(), k->values.begin(), k->values.end()))
            return;  // the site's origin stays
        throw locked(*k, where);
    }
    overrides_[k->number] = {std::move(values), {layer, std::move(where)}};
}

void Settings::need_unlocked(std::string_view key, const std::string& where) const {
    const auto k = index_->find_key(key);
    if (k && !k->lock_file.empty()) throw locked(*k, where);
}

}  // namespace sg
