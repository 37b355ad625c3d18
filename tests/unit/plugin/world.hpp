// A host with the test's own plugins.
#pragma once
#include "../config/scratch.hpp"
#include "config/compile.hpp"
#include "config/encode.hpp"
#include "plugin/host.hpp"

struct World : Scratch {
    // The object `object` of TEST_OBJECTS as plugin `name` in a folder of its own.
    void add(const std::string& name, const std::string& object, const std::string& provides) {
        const std::string folder = name + "-" + object;
        manifests.push_back(write(folder + "/plugin.yaml",
                                  "name: " + name + "\nobject: " + object + ".so\nabi: 1\nversion: 1.0.0\nprovides:\n" + provides));
        std::filesystem::copy_file(std::string(TEST_OBJECTS) + "/" + object + ".so", at(folder + "/" + object + ".so"));
    }
    void add_good() {
        add("good", "good",
            "  - bootstrap: {scheme: good}\n  - format: {name: flat, magics: [{text: GOOD}], default: yes}\n  - launcher: {name: jump}\n"
            "  - command: {verb: hello}\n  - hook: {name: watch, events: [before_run]}\n"
            "config: [{key: good.mode, type: text, default: fast}]\n");
    }
    std::function<const sg_host_credentials_v2&()> credentials;  // what the host gets; set it first
    sg::PluginHost& host() {
        if (!host_) {
            index_ = sg::Index::owning(sg::encode_index(sg::compile_manifests(manifests)));
            settings_ = std::make_unique<sg::Settings>(index_);
            host_ = std::make_unique<sg::PluginHost>(*settings_, index_, nullptr, credentials);
        }
        return *host_;
    }

    std::vector<std::string> manifests;

private:
    sg::Index index_;
    std::unique_ptr<sg::Settings> settings_;
    std::unique_ptr<sg::PluginHost> host_;
};

// The message and hint of what `f` throws.
template <class F>
std::string failure(F&& f) {
    try {
        f();
    } catch (const sg::Error& e) {
        return e.message() + " | " + e.hint();
    }
    return "none";
}

inline bool holds(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }
