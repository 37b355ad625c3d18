// A directory of a test's own, laid out as an installation, removed at the end.
#pragma once
#include <fcntl.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "config/home.hpp"
#include "config/installation.hpp"

class Scratch {
public:
    Scratch() {
        std::string name = (std::filesystem::temp_directory_path() / "sg-test-XXXXXX").string();
        path_ = mkdtemp(name.data());
        write("bin/singularity", "a program");
        std::filesystem::create_directories(path_ + "/home");
        installation_ = sg::Installation::at(path_ + "/bin/singularity");
    }
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;
    ~Scratch() { std::filesystem::remove_all(path_); }

    const std::string& path() const { return path_; }
    std::string at(const std::string& name) const { return path_ + "/" + name; }
    const sg::Installation& installation() const { return installation_; }
    sg::Home home() const { return sg::Home::at(path_ + "/home"); }

    std::string write(const std::string& name, const std::string& text) const {
        const std::filesystem::path file = path_ + "/" + name;
        std::filesystem::create_directories(file.parent_path());
        std::ofstream(file, std::ios::binary | std::ios::trunc) << text;
        return file.string();
    }
    std::string site(const std::string& name, const std::string& text) const { return write("etc/singularity/" + name, text); }
    std::string user(const std::string& name, const std::string& text) const { return write("home/.singularity/" + name, text); }
    // A manifest in the plugin directory.
    std::string plugin(const std::string& name, const std::string& text) const {
        const std::string file = installation_.plugin_dir + "/" + name + "/plugin.yaml";
        return write(file.substr(path_.size() + 1), text);
    }
    // As if everything had been there for long: an index of fresh files is not kept.
    void age(time_t seconds = 10) const {
        timespec now{};
        clock_gettime(CLOCK_REALTIME, &now);
        const timespec times[2] = {{now.tv_sec - seconds, 0}, {now.tv_sec - seconds, 0}};
        for (const auto& entry : std::filesystem::recursive_directory_iterator(path_))
            utimensat(AT_FDCWD, entry.path().c_str(), times, 0);
        utimensat(AT_FDCWD, path_.c_str(), times, 0);
    }

private:
    std::string path_;
    sg::Installation installation_;
};

// A manifest with one bootstrap source.
inline std::string manifest(const std::string& name, const std::string& more = {}) {
    return "name: " + name + "\nobject: " + name + ".so\nabi: 1\nversion: 1.0.0\nsummary: a test\nprovides:\n  - bootstrap: {scheme: " + name +
           ", summary: s}\n" + more;
}
