// Networks by CNI plugins: their configuration files, what `--network-args` adds, and the calls of the plugins.
//
// CNI specification 1.0.0 (and the versions before it, which differ in the result's shape only): a network is a list
// of plugins. Each is a program that gets a JSON object on its standard input and everything else in CNI_ variables.
// ADD calls them in order, each with the result of the one before; DEL calls them from the last to the first and must
// be called for each ADD that was begun, also for one that failed.
#pragma once
#include <string>
#include <vector>

#include "family/spec.hpp"

namespace launcher {

// One network of a container: an interface that its plugins make.
struct Attachment {
    std::string network, version, interface;
    std::string arguments;             // CNI_ARGS
    std::vector<std::string> plugins;  // what each gets, as JSON, but for the result of the one before
    std::string result;                // of ADD, as JSON; "" until it is done
    bool begun = false;                // ADD was called: DEL has to be
};

// The networks by their names, with what the user says of them. Throws Code::not_found for a name that no file of the
// configuration directory gives, Code::usage for arguments that make no sense, Code::corrupt for a file that does not.
std::vector<Attachment> plan_attachments(const Networks& networks);

struct PluginCalls {
    std::string container;             // the same in ADD and DEL, of no other container
    std::string path;                  // of the network namespace; "" = it is gone (DEL)
    std::vector<std::string> plugins;  // directories that hold the plugins
};

// ADD: fills `result`. Throws with the plugin's own words; Code::not_found, with the package's name, when a plugin is
// missing.
void attach(Attachment& to, const PluginCalls& calls);
// DEL: every plugin is called, whatever the others say; throws the first error.
void detach(const Attachment& from, const PluginCalls& calls);

// The first address that the plugins gave, without its prefix length; "" when there is none.
std::string first_address(const std::vector<Attachment>& all);

}  // namespace launcher
