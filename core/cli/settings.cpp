// The settings of a command: what the index holds, the environment and `--set`.
#include <unistd.h>

#include "base/log.hpp"
#include "cli/comma_list.hpp"
#include "cli/dispatch.hpp"

namespace sg {

void set_from_command_line(Settings& settings, const std::string& pair) {
    const size_t equals = pair.find('=');
    if (equals == std::string::npos) throw Error(Code::usage, "--set takes KEY=VALUE, not '" + pair + "'");
    const std::string key = pair.substr(0, equals), value = pair.substr(equals + 1);
    const auto known = settings.index().find_key(key);
    std::vector<std::string> values{value};
    if (known && known->type == ValueType::list) values = comma_list(values);
    settings.set(key, std::move(values), Layer::command_line, "--set");
}

Settings settings_for(const Context& context, bool forgiving, std::vector<std::string>* unknown) {
    Settings settings(context.index);
    std::vector<Error> problems;
    settings.apply_environment(environ, forgiving ? &problems : nullptr);
    for (const auto& e : problems) log::warning(e.message());
    for (const auto& pair : context.global.settings)
        if (unknown && pair.find('=') != std::string::npos && !settings.has(pair.substr(0, pair.find('='))))
            unknown->push_back(pair);
        else
            set_from_command_line(settings, pair);
    return settings;
}

}  // namespace sg
