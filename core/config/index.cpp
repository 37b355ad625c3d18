#include "config/index.hpp"

#include <cstddef>
#include <cstring>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/error.hpp"
#include "config/layout.hpp"

namespace sg {

using namespace layout;

namespace {

[[noreturn]] void damaged(const char* what) {
    throw Error(Code::corrupt, std::string("the compiled configuration index is damaged: ") + what);
}

const Header& header_of(std::span<const uint8_t> bytes) { return *reinterpret_cast<const Header*>(bytes.data()); }

uint64_t wide(const uint32_t* words) { return words[0] | static_cast<uint64_t>(words[1]) << 32; }

}  // namespace

const char* kind_name(CapabilityKind kind) {
    switch (kind) {
        case CapabilityKind::bootstrap: return "bootstrap";
        case CapabilityKind::transport: return "transport";
        case CapabilityKind::format: return "format";
        case CapabilityKind::launcher: return "launcher";
        case CapabilityKind::command: return "command";
        case CapabilityKind::hook: return "hook";
    }
    return "unknown";
}

const char* type_name(ValueType type) {
    switch (type) {
        case ValueType::boolean: return "boolean";
        case ValueType::integer: return "integer";
        case ValueType::text: return "text";
        case ValueType::list: return "list";
    }
    return "unknown";
}

Index::Index() = default;

Index Index::over(std::span<const uint8_t> bytes, std::shared_ptr<const void> keep) {
    if (bytes.size() < sizeof(Header) || bytes.size() > max_size) damaged("its size");
    if (reinterpret_cast<uintptr_t>(bytes.data()) % alignof(Header) != 0) damaged("it is not aligned");
    const Header& h = header_of(bytes);
    if (std::memcmp(h.magic, magic, sizeof magic) != 0) damaged("its magic");
    if (h.version != layout::version || h.size != sizeof(Header)) damaged("it was written by another version");
    if (h.total != bytes.size()) damaged("it is cut short");
    constexpr size_t covered = offsetof(Header, checksum) + sizeof h.checksum;
    if (XXH3_64bits(bytes.data() + covered, bytes.size() - covered) != h.checksum) damaged("its checksum");
    for (uint32_t t = 0; t < table_count; ++t) {
        const uint64_t end = h.tables[t].offset + uint64_t{h.tables[t].rows} * widths[t] * sizeof(uint32_t);
        if (h.tables[t].offset % sizeof(uint32_t) != 0 || h.tables[t].offset < sizeof(Header) || end > bytes.size())
            damaged("a table lies outside");
    }
    if (h.pool_offset < sizeof(Header) || uint64_t{h.pool_offset} + h.pool_size > bytes.size()) damaged("its texts lie outside");
    Index index;
    index.bytes_ = bytes;
    index.keep_ = std::move(keep);
    return index;
}

Index Index::owning(std::string bytes) {
    // A copy in 64-bit words: a std::string promises no alignment.
    auto words = std::make_shared<std::vector<uint64_t>>((bytes.size() + 7) / 8);
    if (!bytes.empty()) std::memcpy(words->data(), bytes.data(), bytes.size());
    const std::span<const uint8_t> view(reinterpret_cast<const uint8_t*>(words->data()), bytes.size());
    return over(view, words);
}

std::string_view Index::text(uint32_t offset) const {
    const Header& h = header_of(bytes_);
    if (uint64_t{offset} + sizeof(uint32_t) + 1 > h.pool_size) damaged("a text lies outside");
    const uint8_t* at = bytes_.data() + h.pool_offset + offset;
    uint32_t length;
    std::memcpy(&length, at, sizeof length);
    if (uint64_t{offset} + sizeof length + length + 1 > h.pool_size) damaged("a text lies outside");
    if (at[sizeof length + length] != 0) damaged("a text has no end");
    return {reinterpret_cast<const char*>(at) + sizeof length, length};
}

uint32_t Index::rows(uint32_t table) const { return bytes_.empty() ? 0 : header_of(bytes_).tables[table].rows; }

const uint32_t* Index::row(uint32_t table, uint32_t i) const {
    if (i >= rows(table)) damaged("a reference lies outside");
    return reinterpret_cast<const uint32_t*>(bytes_.data() + header_of(bytes_).tables[table].offset) + size_t{i} * widths[table];
}

std::vector<std::string_view> Index::texts(uint32_t first, uint32_t count) const {
    if (uint64_t{first} + count > rows(strings)) damaged("a list lies outside");
    std::vector<std::string_view> out;
    out.reserve(count);
    for (uint32_t i = 0; i < count; ++i) out.push_back(text(*row(strings, first + i)));
    return out;
}

std::string_view Index::stamp() const { return bytes_.empty() ? std::string_view() : text(header_of(bytes_).stamp); }

uint32_t Index::file_count() const { return rows(layout::files); }

std::string_view Index::file_path(uint32_t i) const { return text(row(layout::files, i)[0]); }

SourceFile Index::file(uint32_t i) const {
    const uint32_t* r = row(layout::files, i);
    return {{}, r[1], wide(r + 2), wide(r + 4), static_cast<int64_t>(wide(r + 6))};
}

std::vector<SourceFile> Index::files() const {
    std::vector<SourceFile> out;
    for (uint32_t i = 0; i < file_count(); ++i) {
        out.push_back(file(i));
        out.back().path = file_path(i);
    }
    return out;
}

std::vector<std::string_view> Index::warnings() const {
    std::vector<std::string_view> out;
    for (uint32_t i = 0; i < rows(layout::warnings); ++i) out.push_back(text(*row(layout::warnings, i)));
    return out;
}

uint32_t Index::key_count() const { return rows(keys); }

KeyView Index::key(uint32_t i) const {
    const uint32_t* r = row(keys, i);
    if (r[2] > static_cast<uint32_t>(ValueType::list) || r[10] > static_cast<uint32_t>(Layer::command_line))
        damaged("a key has an unknown type");
    KeyView k{i,
              text(r[0]),
              text(r[1]),
              static_cast<ValueType>(r[2]),
              text(r[3]),
              texts(r[4], r[5]),
              texts(r[6], r[7]),
              texts(r[8], r[9]),
              static_cast<Layer>(r[10]),
              text(r[11]),
              r[12],
              text(r[13]),
              r[14],
              {}};
    if (k.type != ValueType::list && (k.values.size() != 1 || k.initial.size() != 1)) damaged("a key has no value");
    if (k.type == ValueType::list)
        for (uint32_t i = 0; i < k.values.size(); ++i) {
            const uint32_t* p = row(layout::places, r[15] + i);
            k.places.push_back({text(p[0]), p[1]});
        }
    return k;
}

std::optional<KeyView> Index::find_key(std::string_view name) const {
    uint32_t low = 0, high = key_count();
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        const std::string_view at = text(row(keys, middle)[0]);
        if (at == name) return key(middle);
        if (at < name)
            low = middle + 1;
        else
            high = middle;
    }
    return std::nullopt;
}

std::vector<std::pair<std::string_view, uint32_t>> Index::variables() const {
    std::vector<std::pair<std::string_view, uint32_t>> out;
    for (uint32_t i = 0; i < rows(layout::variables); ++i) {
        const uint32_t* r = row(layout::variables, i);
        out.emplace_back(text(r[0]), r[1]);
    }
    return out;
}

std::optional<uint32_t> Index::find_variable(std::string_view name) const {
    uint32_t low = 0, high = rows(layout::variables);
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        const uint32_t* r = row(layout::variables, middle);
        const std::string_view at = text(r[0]);
        if (at == name) return r[1];
        if (at < name)
            low = middle + 1;
        else
            high = middle;
    }
    return std::nullopt;
}

uint32_t Index::plugin_count() const { return rows(plugins); }

PluginView Index::plugin(uint32_t i) const {
    const uint32_t* r = row(plugins, i);
    return {i,    text(r[0]), text(r[1]), text(r[2]), text(r[3]), text(r[4]), text(r[5]), r[6],
            r[7], r[8] != 0,  text(r[9])};
}

std::string_view Index::plugin_name(uint32_t number) const { return text(row(plugins, number)[0]); }

std::optional<PluginView> Index::find_plugin(std::string_view name) const {
    uint32_t low = 0, high = rows(plugin_names);
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (plugin_name(*row(plugin_names, middle)) < name)
            low = middle + 1;
        else
            high = middle;
    }
    if (low >= rows(plugin_names)) return std::nullopt;
    PluginView found = plugin(*row(plugin_names, low));
    return found.name == name ? std::optional(found) : std::nullopt;
}

uint32_t Index::capability_count() const { return rows(layout::capabilities); }

CapabilityView Index::capability(uint32_t i) const {
    const uint32_t* r = row(layout::capabilities, i);
    if (r[0] > static_cast<uint32_t>(CapabilityKind::hook)) damaged("a capability of an unknown kind");
    CapabilityView c{};
    c.number = i;
    c.kind = static_cast<CapabilityKind>(r[0]);
    c.name = text(r[1]);
    c.plugin = r[2];
    if (c.plugin >= plugin_count()) damaged("a capability of no plugin");
    c.line = r[3];
    c.summary = text(r[4]);
    c.example = text(r[5]);
    c.publishes = r[6] & layout::publishes;
    c.searches = r[6] & layout::searches;
    c.deletes = r[6] & layout::deletes;
    c.plain_paths = r[6] & layout::plain_paths;
    c.remote = r[6] & layout::remote;
    c.directory = r[6] & layout::directory;
    c.standard = r[6] & layout::standard;
    c.shadowed = r[6] & layout::shadowed;
    c.hidden = r[6] & layout::hidden;
    c.wants_digest = r[6] & layout::wants_digest;
    c.wants_signers = r[6] & layout::wants_signers;
    c.words = texts(r[7], r[8]);
    c.selected_by = text(r[9]);
    c.selected_short = text(r[10]);
    if (uint64_t{r[11]} + r[12] > rows(layout::magics)) damaged("magics lie outside");
    for (uint32_t m = 0; m < r[12]; ++m) {
        const uint32_t* w = row(layout::magics, r[11] + m);
        c.magics.push_back({wide(w), text(w[2])});
    }
    return c;
}

std::vector<CapabilityView> Index::capabilities(CapabilityKind kind) const {
    std::vector<CapabilityView> out;
    for (uint32_t i = 0; i < capability_count(); ++i) {
        const uint32_t* r = row(layout::capabilities, i);
        if (r[0] != static_cast<uint32_t>(kind) || (r[6] & layout::shadowed)) continue;
        if (row(plugins, r[2])[8] != 0) out.push_back(capability(i));
    }
    return out;
}

std::optional<CapabilityView> Index::find(CapabilityKind kind, std::string_view name) const {
    const auto wanted = static_cast<uint32_t>(kind);
    uint32_t low = 0, high = rows(lookup);
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        const uint32_t number = *row(lookup, middle);
        const uint32_t* r = row(layout::capabilities, number);
        const std::string_view at = text(r[1]);
        if (r[0] == wanted && at == name) return capability(number);
        if (r[0] < wanted || (r[0] == wanted && at < name))
            low = middle + 1;
        else
            high = middle;
    }
    return std::nullopt;
}

std::vector<CapabilityView> Index::capabilities_of(uint32_t plugin) const {
    std::vector<CapabilityView> out;
    for (uint32_t i = 0; i < capability_count(); ++i)
        if (row(layout::capabilities, i)[2] == plugin) out.push_back(capability(i));
    return out;
}

OptionView Index::option(uint32_t i) const {
    const uint32_t* r = row(layout::options, i);
    return {text(r[0]), text(r[1]), text(r[2]), text(r[3]), text(r[4]), text(r[5]), texts(r[6], r[7]), text(r[8])};
}

std::vector<CommandView> Index::commands(const CapabilityView& command) const {
    const uint32_t* c = row(layout::capabilities, command.number);
    if (uint64_t{c[13]} + c[14] > rows(layout::commands)) damaged("commands lie outside");
    std::vector<CommandView> out;
    for (uint32_t i = 0; i < c[14]; ++i) {
        const uint32_t* r = row(layout::commands, c[13] + i);
        CommandView v{text(r[0]), text(r[1]), text(r[2]), text(r[3]), {}, r[6] != 0};
        if (uint64_t{r[4]} + r[5] > rows(layout::options)) damaged("options lie outside");
        for (uint32_t o = 0; o < r[5]; ++o) v.options.push_back(option(r[4] + o));
        out.push_back(std::move(v));
    }
    return out;
}

std::vector<OptionView> Index::options_of(std::string_view verb) const {
    uint32_t low = 0, high = rows(verb_options);
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (text(row(verb_options, middle)[0]) < verb)
            low = middle + 1;
        else
            high = middle;
    }
    std::vector<OptionView> out;
    for (; low < rows(verb_options) && text(row(verb_options, low)[0]) == verb; ++low)
        out.push_back(option(row(verb_options, low)[1]));
    return out;
}

std::vector<CacheAreaView> Index::cache_areas() const {
    std::vector<CacheAreaView> out;
    for (uint32_t i = 0; i < rows(areas); ++i) {
        const uint32_t* r = row(areas, i);
        out.push_back({text(r[0]), text(r[1]), text(r[2]), static_cast<int64_t>(wide(r + 3))});
    }
    return out;
}

std::string_view Index::absent(std::string_view scheme) const {
    uint32_t low = 0, high = rows(layout::absent);
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        const uint32_t* r = row(layout::absent, middle);
        const std::string_view at = text(r[0]);
        if (at == scheme) return text(r[1]);
        if (at < scheme)
            low = middle + 1;
        else
            high = middle;
    }
    return {};
}

}  // namespace sg
