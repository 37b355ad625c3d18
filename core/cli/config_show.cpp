#include <algorithm>
#include <set>

#include "base/log.hpp"
#include "base/nearest.hpp"
#include "cli/config_actions.hpp"
#include "cli/dispatch.hpp"
#include "cli/json_writer.hpp"
#include "cli/print.hpp"

namespace sg {

namespace {

// What is shown: one key, the keys of a group ("mount"), or all.
std::vector<KeyView> chosen(const Index& index, const std::string& wanted) {
    std::vector<KeyView> out;
    for (uint32_t i = 0; i < index.key_count(); ++i) {
        KeyView k = index.key(i);
        if (wanted.empty() || k.name == wanted || (k.name.starts_with(wanted) && k.name.substr(wanted.size()).starts_with("."))) out.push_back(std::move(k));
    }
    if (!out.empty()) return out;
    std::vector<std::string_view> names;
    for (uint32_t i = 0; i < index.key_count(); ++i) names.push_back(index.key(i).name);
    throw Error(Code::not_found, "unknown configuration key '" + wanted + "'", did_you_mean(wanted, names));
}

std::string locked(const KeyView& k) { return k.lock_file.empty() ? std::string() : std::string(k.lock_file) + ":" + std::to_string(k.lock_line); }

// Where each value of a list stands, when these are several places.
std::vector<std::string> places_of(const KeyView& k, const Settings& settings) {
    std::vector<std::string> out;
    const size_t count = k.type == ValueType::list ? settings.values(k.name).size() : 0;
    for (size_t i = 0; i < count; ++i) out.push_back(settings.origin(k.name, i).where);
    if (std::set<std::string>(out.begin(), out.end()).size() < 2) out.clear();
    return out;
}

void show_json(const std::vector<KeyView>& keys, const Settings& settings) {
    JsonWriter json;
    json.begin_object();
    for (const auto& k : keys) {
        json.key(k.name);
        json.begin_object();
        json.key("value");
        const auto texts = [&](const std::vector<std::string>& list) {
            json.begin_array();
            for (const auto& v : list) json.text(v);
            json.end_array();
        };
        switch (k.type) {
            case ValueType::boolean: json.boolean(settings.boolean(k.name)); break;
            case ValueType::integer: json.integer(settings.integer(k.name)); break;
            case ValueType::text: json.text(settings.text(k.name)); break;
            case ValueType::list: texts(settings.values(k.name)); break;
        }
        json.member("type", type_name(k.type));
        json.member("origin", settings.origin(k.name).where);
        if (const auto places = places_of(k, settings); !places.empty()) {
            json.key("origins");
            texts(places);
        }
        if (!k.lock_file.empty()) json.member("lock", locked(k));
        if (!k.plugin.empty()) json.member("plugin", k.plugin);
        json.member("doc", k.doc);
        json.end_object();
    }
    json.end_object();
    print(json.take());
}

// A file that sets what the site has locked is no reason not to show the configuration; any other fault is.
void tell_of_locks(const std::vector<Error>& problems) {
    for (const auto& p : problems)
        if (!is_locked_error(p)) throw p;
    for (const auto& p : problems) log::warning(p.message());
}

}  // namespace

int show_configuration(const std::string& key, bool origin, Session& session) {
    if (session.context) tell_of_locks(session.context->problems);
    const Settings& settings = session.settings;
    const auto keys = chosen(settings.index(), key);
    if (session.json) {
        show_json(keys, settings);
        return 0;
    }
    if (keys.size() == 1 && keys.front().name == key && !origin) {
        print(settings.shown(key) + "\n");  // alone: for scripts
        return 0;
    }
    size_t width = 0;
    for (const auto& k : keys) width = std::max(width, std::min<size_t>(k.name.size() + settings.shown(k.name).size() + 2, 60));
    std::string out;
    for (const auto& k : keys) {
        const auto line = [&](std::string text, const std::string& where) {
            text.append(width > text.size() ? width - text.size() : 0, ' ');
            out += text + "  # " + where + "\n";
        };
        const std::string text = std::string(k.name) + ": " + settings.shown(k.name);
        if (!origin) {
            out += text + "\n";
            continue;
        }
        line(text, settings.origin(k.name).where + (k.lock_file.empty() ? "" : ", locked by " + locked(k)));
        const auto places = places_of(k, settings);
        const auto values = settings.values(k.name);
        for (size_t i = 0; i < places.size(); ++i) line("    " + values[i], places[i]);
    }
    print(out);
    return 0;
}

}  // namespace sg
