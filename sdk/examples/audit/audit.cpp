// A hook that writes one line of JSON for each run, and forbids the runs that a site's rule names.
#include <fcntl.h>
#include <fnmatch.h>
#include <pwd.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>
#include <syslog.h>
#include <unistd.h>

#include <climits>
#include <cstdlib>
#include <ctime>
#include <singularity/hook.hpp>

namespace {

using namespace singularity;

// The first of the site's patterns that one of these names matches; empty for none.
std::string forbidding_rule(std::initializer_list<std::string_view> names, const Host& host) {
    for (const std::string& pattern : host.texts("audit.forbidden"))
        for (const std::string_view name : names)
            if (!name.empty() && ::fnmatch(pattern.c_str(), std::string(name).c_str(), 0) == 0) return pattern;
    return {};
}

// One object on one line. File names are bytes and JSON is UTF-8: a name that is none is written without its odd bytes.
class Line {
public:
    Line() { writer_.StartObject(); }
    Line& text(const char* key, std::string value) {
        using Checked = rapidjson::Writer<rapidjson::StringBuffer, rapidjson::UTF8<>, rapidjson::UTF8<>,
                                          rapidjson::CrtAllocator, rapidjson::kWriteValidateEncodingFlag>;
        rapidjson::StringBuffer trial;
        if (!Checked(trial).String(value.c_str()))
            for (char& c : value)
                if (static_cast<unsigned char>(c) >= 0x80) c = '?';
        writer_.Key(key);
        writer_.String(value.c_str(), static_cast<rapidjson::SizeType>(value.size()));
        return *this;
    }
    Line& number(const char* key, int64_t value) {
        writer_.Key(key);
        writer_.Int64(value);
        return *this;
    }
    std::string finished() {
        writer_.EndObject();
        return buffer_.GetString();
    }

private:
    rapidjson::StringBuffer buffer_;
    rapidjson::Writer<rapidjson::StringBuffer> writer_{buffer_};
};

std::string now() {
    const std::time_t seconds = std::time(nullptr);
    std::tm parts{};
    ::gmtime_r(&seconds, &parts);
    char text[32];
    return {text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts)};
}

std::string this_host() {
    char name[HOST_NAME_MAX + 1] = "";
    ::gethostname(name, sizeof name - 1);
    return name;
}

std::string user_name() {
    const passwd* entry = ::getpwuid(::getuid());
    return entry ? entry->pw_name : "";
}

// Symbolic links lead round a rule that is written for the place where an image lies.
std::string true_path(const char* path) {
    char* found = ::realpath(path, nullptr);
    const std::string out = found ? found : "";
    std::free(found);
    return out;
}

void write_down(const std::string& line, const Host& host) {
    const std::string path = host.text("audit.file").value_or("");
    if (path.empty()) {
        ::openlog("singularity", LOG_PID, LOG_AUTHPRIV);
        ::syslog(LOG_NOTICE, "%s", line.c_str());
        return;
    }
    // One write to a file open for appending is whole, whoever else writes there.
    const std::string bytes = line + "\n";
    const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_NOCTTY | O_CLOEXEC, 0600);
    const bool written = fd >= 0 && ::write(fd, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size());
    const int why = errno;
    if (fd >= 0) ::close(fd);
    // The host shows it as a warning, and the run goes on: only Code::veto stops one.
    if (!written) throw Error(Code::io, "audit.file " + path + ": " + std::strerror(why));
}

class Audit final : public Hook {
public:
    void notify(const sg_event& event) override {
        const Host host;
        const std::string path = true_path(event.path);
        const std::string rule = forbidding_rule({event.reference, event.path, path}, host);
        Line line;
        line.text("time", now()).text("host", this_host()).number("uid", ::getuid()).text("user", user_name());
        line.text("image", event.reference)
            .text("path", path)
            .text("digest", event.digest)
            .text("verdict", rule.empty() ? "allowed" : "refused");
        if (!rule.empty()) line.text("rule", rule);
        try {
            write_down(line.finished(), host);
        } catch (const Error& e) {
            if (rule.empty()) throw;
            host.warn(e.message());
        }
        if (!rule.empty())
            throw Error(
                Code::veto, std::string(event.reference) + " may not be run here: the site forbids '" + rule + "'",
                "The rule is in audit.forbidden; 'singularity config show --origin audit.forbidden' names its file.");
    }
};

}  // namespace

SINGULARITY_PLUGIN(audit, Audit)
