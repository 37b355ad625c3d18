// A crash inside a plugin ends the command with one line that names it.
//
// Nothing is marked around the many calls into plugins: the handler looks at where the thread was.
// An address in a plugin's code names the plugin; in other code than ours (libc: abort, memcpy) the first
// caller that belongs to a plugin or to us decides. Only loading and starting an
// object, when its addresses are not known yet, are marked.
#pragma once
#include <string>

namespace sg {

// Handlers for SIGSEGV, SIGBUS, SIGFPE, SIGILL and SIGABRT, unless they are there already. A crash outside of plugins
// goes to the action that was there before.
void install_crash_guard();

// The object `handle` (of dlopen) is code of this plugin.
void watch_object(void* handle, const std::string& plugin, const std::string& object);

// While it lives, a crash of this thread is this plugin's.
class PluginScope {
public:
    PluginScope(const std::string& plugin, const std::string& object);
    PluginScope(const PluginScope&) = delete;
    PluginScope& operator=(const PluginScope&) = delete;
    ~PluginScope();

    struct Marker {
        const char *plugin, *object;
    };

private:
    Marker marker_;
    const Marker* before_;
};

}  // namespace sg
