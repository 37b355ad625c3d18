#include "config/encode.hpp"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <unordered_map>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/error.hpp"
#include "config/layout.hpp"

namespace sg {

namespace {

using namespace layout;

class Encoder {
public:
    explicit Encoder(const model::Configuration& c) : c_(c) { text(""); }

    std::string run() {
        for (const auto& f : c_.files) {
            row(files, {text(f.path), f.kind, lo(f.inode), hi(f.inode), lo(f.size), hi(f.size),
                        lo(static_cast<uint64_t>(f.mtime_ns)), hi(static_cast<uint64_t>(f.mtime_ns))});
        }
        for (const auto& w : c_.warnings) row(warnings, {text(w)});
        put_keys();
        for (size_t p = 0; p < c_.plugins.size(); ++p) put_plugin(static_cast<uint32_t>(p));
        put_sorted();
        return join();
    }

private:
    struct Range {
        uint32_t first, count;
    };

    static uint32_t lo(uint64_t v) { return static_cast<uint32_t>(v); }
    static uint32_t hi(uint64_t v) { return static_cast<uint32_t>(v >> 32); }

    uint32_t text(const std::string& s) {
        const auto known = known_.find(s);
        if (known != known_.end()) return known->second;
        if (pool_.size() + s.size() + 8 > max_size) throw Error(Code::limit, "the configuration is too large for the index");
        const auto at = static_cast<uint32_t>(pool_.size());
        const auto length = static_cast<uint32_t>(s.size());
        pool_.append(reinterpret_cast<const char*>(&length), sizeof length).append(s).push_back('\0');
        known_.emplace(s, at);
        return at;
    }

    uint32_t row(Table table, std::initializer_list<uint32_t> words) {
        auto& t = tables_[table];
        t.insert(t.end(), words);
        return static_cast<uint32_t>(t.size() / widths[table] - 1);
    }

    Range texts(const std::vector<std::string>& list) {
        const Range r{static_cast<uint32_t>(tables_[strings].size()), static_cast<uint32_t>(list.size())};
        for (const auto& s : list) row(strings, {text(s)});
        return r;
    }

    void put_keys() {
        std::vector<const model::Key*> sorted;
        for (const auto& k : c_.keys) sorted.push_back(&k);
        std::sort(sorted.begin(), sorted.end(), [](auto* a, auto* b) { return a->name < b->name; });
        std::vector<std::pair<std::string, uint32_t>> names;
        for (const auto* k : sorted) {
            const Range initial = texts(k->initial), values = texts(k->values), choices = texts(k->choices);
            const auto first_place = static_cast<uint32_t>(tables_[places].size() / widths[places]);
            if (k->type == ValueType::list)
                for (size_t i = 0; i < k->values.size(); ++i)
                    row(places, {text(i < k->places.size() ? k->places[i].file : std::string()),
                                 i < k->places.size() ? k->places[i].line : 0});
            const uint32_t number =
                row(keys, {text(k->name), text(k->doc), static_cast<uint32_t>(k->type), text(k->plugin), initial.first,
                           initial.count, values.first, values.count, choices.first, choices.count,
                           static_cast<uint32_t>(k->layer), text(k->file), k->line, text(k->lock_file), k->lock_line,
                           first_place});
            for (const auto& v : k->variables) names.emplace_back(v, number);
        }
        std::stable_sort(names.begin(), names.end(), [](auto& a, auto& b) { return a.first < b.first; });
        for (const auto& [name, key] : names) row(variables, {text(name), key});
    }

    uint32_t put_option(const model::Option& o, const std::string& plugin, bool for_others) {
        const Range verbs = texts(o.verbs);
        const uint32_t number =
            row(options, {text(o.long_name), text(o.short_name), text(o.type), text(o.variable), text(o.help),
                          text(plugin), verbs.first, verbs.count, text(o.takes_over)});
        if (for_others)
            for (const auto& v : o.verbs) by_verb_.emplace_back(v, number);
        return number;
    }

    void put_plugin(uint32_t number) {
        const auto& p = c_.plugins[number];
        row(plugins, {text(p.name), text(p.version), text(p.summary), text(p.manifest), text(p.object),
                      text(p.registered_in), p.registered_line, p.abi, p.active ? 1u : 0u, text(p.why)});
        for (const auto& c : p.capabilities) {
            const Range words = texts(c.words);
            const Range magic{static_cast<uint32_t>(tables_[magics].size() / widths[magics]),
                              static_cast<uint32_t>(c.magics.size())};
            for (const auto& [offset, bytes] : c.magics) row(magics, {lo(offset), hi(offset), text(bytes)});
            // The rows of a command's options must lie together: options first, then the commands.
            std::vector<Range> ranges;
            for (const auto& command : c.commands) {
                ranges.push_back({static_cast<uint32_t>(tables_[options].size() / widths[options]),
                                  static_cast<uint32_t>(command.options.size())});
                for (const auto& o : command.options) put_option(o, p.name, false);
            }
            const Range verbs{static_cast<uint32_t>(tables_[commands].size() / widths[commands]),
                              static_cast<uint32_t>(c.commands.size())};
            for (size_t i = 0; i < c.commands.size(); ++i) {
                const auto& command = c.commands[i];
                row(commands, {text(command.verb), text(command.summary), text(command.usage), text(command.example),
                               ranges[i].first, ranges[i].count, command.hidden ? 1u : 0u});
            }
            const uint32_t flags =
                (c.publishes ? publishes : 0u) | (c.searches ? searches : 0u) | (c.deletes ? deletes : 0u) |
                (c.plain_paths ? plain_paths : 0u) | (c.remote ? remote : 0u) | (c.directory ? directory : 0u) |
                (c.standard ? standard : 0u) | (c.shadowed ? shadowed : 0u) | (c.hidden ? hidden : 0u) |
                (c.wants_digest ? wants_digest : 0u) | (c.wants_signers ? wants_signers : 0u);
            const uint32_t at = row(
                capabilities, {static_cast<uint32_t>(c.kind), text(c.name), number, c.line, text(c.summary), text(c.example), flags,
                               words.first, words.count, text(c.selected_by), text(c.selected_short), magic.first, magic.count,
                               verbs.first, verbs.count});
            if (p.active && !c.shadowed) found_.push_back({c.kind, &c.name, at});
        }
        if (p.active)
            for (const auto& o : p.options) put_option(o, p.name, true);
    }

    void put_sorted() {
        std::vector<uint32_t> order(c_.plugins.size());
        for (uint32_t i = 0; i < order.size(); ++i) order[i] = i;
        std::stable_sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
            const auto &x = c_.plugins[a], &y = c_.plugins[b];
            return x.name != y.name ? x.name < y.name : x.active && !y.active;
        });
        for (const uint32_t i : order) row(plugin_names, {i});

        std::stable_sort(found_.begin(), found_.end(), [](const Found& a, const Found& b) {
            return a.kind != b.kind ? a.kind < b.kind : *a.name < *b.name;
        });
        for (const auto& f : found_) row(lookup, {f.capability});

        std::stable_sort(by_verb_.begin(), by_verb_.end(), [](auto& a, auto& b) { return a.first < b.first; });
        for (const auto& [verb, option] : by_verb_) row(verb_options, {text(verb), option});

        std::vector<std::pair<const model::CacheArea*, const std::string*>> area_rows;
        for (const auto& p : c_.plugins)
            if (p.active)
                for (const auto& a : p.areas) area_rows.emplace_back(&a, &p.name);
        std::stable_sort(area_rows.begin(), area_rows.end(), [](auto& a, auto& b) {
            return a.first->order != b.first->order ? a.first->order < b.first->order : a.first->area < b.first->area;
        });
        for (const auto& [a, plugin] : area_rows)
            row(areas, {text(a->area), text(a->title), text(*plugin), lo(static_cast<uint64_t>(a->order)),
                        hi(static_cast<uint64_t>(a->order))});

        auto messages = c_.absent;
        std::stable_sort(messages.begin(), messages.end(), [](auto& a, auto& b) { return a.first < b.first; });
        for (const auto& [scheme, message] : messages) row(absent, {text(scheme), text(message)});
    }

    std::string join() {
        Header h{};
        std::memcpy(h.magic, magic, sizeof h.magic);
        h.version = version;
        h.size = sizeof h;
        h.stamp = text(c_.stamp);
        std::string out(sizeof h, '\0');
        for (uint32_t t = 0; t < table_count; ++t) {
            h.tables[t] = {static_cast<uint32_t>(out.size()), static_cast<uint32_t>(tables_[t].size() / widths[t])};
            out.append(reinterpret_cast<const char*>(tables_[t].data()), tables_[t].size() * sizeof(uint32_t));
            if (out.size() > max_size) throw Error(Code::limit, "the configuration is too large for the index");
        }
        h.pool_offset = static_cast<uint32_t>(out.size());
        h.pool_size = static_cast<uint32_t>(pool_.size());
        out += pool_;
        if (out.size() > max_size) throw Error(Code::limit, "the configuration is too large for the index");
        h.total = out.size();
        std::memcpy(out.data(), &h, sizeof h);
        seal_index(out);
        return out;
    }

    struct Found {
        CapabilityKind kind;
        const std::string* name;
        uint32_t capability;
    };

    const model::Configuration& c_;
    std::vector<uint32_t> tables_[table_count];
    std::string pool_;
    std::unordered_map<std::string, uint32_t> known_;
    std::vector<Found> found_;
    std::vector<std::pair<std::string, uint32_t>> by_verb_;
};

}  // namespace

std::string encode_index(const model::Configuration& configuration) { return Encoder(configuration).run(); }

void seal_index(std::string& bytes) {
    constexpr size_t covered = offsetof(layout::Header, checksum) + sizeof(uint64_t);
    if (bytes.size() < covered) return;
    const uint64_t sum = XXH3_64bits(bytes.data() + covered, bytes.size() - covered);
    std::memcpy(bytes.data() + offsetof(layout::Header, checksum), &sum, sizeof sum);
}

}  // namespace sg
