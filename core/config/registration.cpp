#include "config/registration.hpp"

#include "base/nearest.hpp"

namespace sg {

static void unknown(const std::string& file, const YAML::Node& key, const std::string& name,
                    const std::vector<std::string_view>& known) {
    wrong(file, key, "unknown member '" + name + "'", did_you_mean(name, known));
}

static Registration entry(const std::string& file, const YAML::Node& node) {
    Registration r;
    r.file = file;
    r.line = line_of(node);
    if (node.IsScalar()) {
        r.manifest = text_of(file, node, "a plugin");
    } else {
        each_member(file, node, "a plugin", [&](const std::string& name, const YAML::Node& key, const YAML::Node& value) {
            if (name == "manifest" || name == "plugin")
                r.manifest = text_of(file, value, "manifest");
            else if (name == "name")
                r.name = text_of(file, value, "name");
            else if (name == "before")
                r.before = text_of(file, value, "before");
            else if (name == "enabled")
                r.enabled = boolean_of(file, value, "enabled");
            else if (name == "optional")
                r.optional = boolean_of(file, value, "optional");
            else if (name == "config") {
                if (!value.IsNull()) flatten(file, value, "", r.config);
            } else
                unknown(file, key, name, {"manifest", "name", "before", "enabled", "optional", "config"});
        });
    }
    if (r.manifest.empty() == r.name.empty()) wrong(file, node, "a plugin is registered by 'manifest', or named by 'name'");
    return r;
}

RegistrationFile parse_registrations(const std::string& file, const YAML::Node& document) {
    RegistrationFile out;
    if (document.IsNull()) return out;
    each_member(file, document, "a registration file", [&](const std::string& name, const YAML::Node& key, const YAML::Node& value) {
        if (value.IsNull()) return;
        if (name != "plugins" && name != "absent") unknown(file, key, name, {"plugins", "absent"});
        if (!value.IsSequence()) wrong(file, value, "'" + name + "' must be a list");
        for (const auto& item : value) {
            if (name == "plugins") {
                out.plugins.push_back(entry(file, item));
                continue;
            }
            std::pair<std::string, std::string> absent;
            each_member(file, item, "an entry of 'absent'", [&](const std::string& member, const YAML::Node& at, const YAML::Node& text) {
                if (member == "scheme")
                    absent.first = text_of(file, text, "scheme");
                else if (member == "message")
                    absent.second = text_of(file, text, "message");
                else
                    unknown(file, at, member, {"scheme", "message"});
            });
            out.absent.push_back(std::move(absent));
        }
    });
    return out;
}

}  // namespace sg
