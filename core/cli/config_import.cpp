#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/log.hpp"
#include "base/unique_fd.hpp"
#include "cli/config_actions.hpp"
#include "cli/print.hpp"
#include "config/import.hpp"

namespace sg {

namespace {

// Appears whole or not at all, and takes no file's place.
void add_file(const std::string& path, const std::string& text) {
    const std::string directory = path.substr(0, path.rfind('/')), temporary = directory + "/.import." + std::to_string(::getpid());
    if (::mkdir(directory.c_str(), 0755) != 0 && errno != EEXIST) throw_errno("cannot make", directory);
    UniqueFd fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644));
    if (!fd) throw_errno("cannot write", temporary);
    int failure = 0;
    for (size_t done = 0; failure == 0 && done < text.size();) {
        const ssize_t n = ::write(fd.get(), text.data() + done, text.size() - done);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) failure = errno;
        else done += static_cast<size_t>(n);
    }
    if (failure == 0 && (::fchmod(fd.get(), 0644) != 0 || ::fsync(fd.get()) != 0 || ::link(temporary.c_str(), path.c_str()) != 0)) failure = errno;
    ::unlink(temporary.c_str());
    if (failure == EEXIST) throw Error(Code::exists, path + " exists already", "Choose another name, or remove it first.");
    if (failure != 0) throw system_error(failure, "cannot write", path);
}

}  // namespace

int import_file(const std::string& file, const std::string& name, Session& session) {
    if (file.empty()) throw Error(Code::usage, "config import: the file is missing", "The form is: singularity config import [--write NAME] FILE");
    std::string target = name;
    if (!target.empty()) {
        if (!target.ends_with(".yaml")) target += ".yaml";
        if (target.find('/') != std::string::npos || target[0] == '.')
            throw Error(Code::usage, "--write " + name + ": a name in conf.d, as 20-imported.yaml", "Without --write the file is printed.");
        target = session.installation.conf_dir + "/conf.d/" + target;
    }
    const Imported imported = import_configuration(file, session.settings.index());
    for (const auto& l : imported.left)
        if (l.wants_attention) log::warning(l.from + " is not taken over: " + l.reason);
    const std::string text = imported_yaml(imported, file);
    if (target.empty()) {
        print(text);
        return 0;
    }
    add_file(target, text);
    log::info("Written: " + target);
    return 0;
}

}  // namespace sg
