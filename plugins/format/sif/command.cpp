#include "sif/command.hpp"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdlib>

#include "sif/image.hpp"
#include "sif/listing.hpp"
#include "sif/objects.hpp"

namespace sif {

using singularity::Code;
using singularity::Error;
using singularity::Host;
using singularity::Invocation;
using singularity::PartInfo;
using singularity::Slice;

namespace {

// The options and arguments of one sub-verb.
class Line {
public:
    explicit Line(const Invocation& i) : invocation_(i) {}
    const std::string* option(std::string_view name) const {
        const std::string* found = nullptr;
        for (const auto& [key, value] : invocation_.options)
            if (key == name) found = &value;
        return found;
    }
    bool flag(std::string_view name) const {
        const std::string* v = option(name);
        return v && *v != "false";
    }
    void need_arguments(std::initializer_list<const char*> names) const {
        if (invocation_.arguments.size() == names.size()) return;
        std::string usage = "singularity " + invocation_.verb;
        for (const char* n : names) usage += std::string(" ") + n;
        throw Error(Code::usage,
                    "`" + invocation_.verb + "` takes " + std::to_string(names.size()) +
                        (names.size() == 1 ? " argument" : " arguments"),
                    "usage: " + usage);
    }
    // An argument that is a file, relative to where the user stands.
    std::string file(size_t i) const {
        const std::string& name = invocation_.arguments[i];
        return name.empty() || name[0] == '/' ? name : invocation_.directory + "/" + name;
    }
    uint64_t id(size_t i) const { return number(invocation_.arguments[i], "object id", UINT32_MAX); }
    static uint64_t number(const std::string& text, const std::string& what, uint64_t limit) {
        uint64_t value = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
        if (error != std::errc{} || end != text.data() + text.size() || value > limit)
            throw Error(Code::usage, "'" + text + "' is no " + what);
        return value;
    }

private:
    const Invocation& invocation_;
};

void print(std::string_view text) {
    while (!text.empty()) {
        const ssize_t n = ::write(STDOUT_FILENO, text.data(), text.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) throw_errno("cannot write to", "standard output");
        text.remove_prefix(static_cast<size_t>(n));
    }
}

class FileStream final : public singularity::Stream {
public:
    FileStream(File file, std::string path) : file_(std::move(file)), path_(std::move(path)), buffer_(1 << 18) {}
    Slice next() override {
        for (;;) {
            const ssize_t n = ::read(file_.fd(), buffer_.data(), buffer_.size());
            if (n < 0 && errno == EINTR) continue;
            if (n < 0) throw_errno("cannot read", path_);
            return Slice::borrowed(buffer_.data(), static_cast<uint64_t>(n));
        }
    }

private:
    File file_;
    std::string path_;
    std::vector<uint8_t> buffer_;
};

std::string base_name(const std::string& path) { return path.substr(path.rfind('/') + 1); }

int header(const Line& line) {
    line.need_arguments({"FILE"});
    const Container c = Container::open(line.file(0), false);
    print(line.flag("json") ? header_json(c) : header_text(c));
    return 0;
}

int list(const Line& line) {
    line.need_arguments({"FILE"});
    const Container c = Container::open(line.file(0), false);
    print(line.flag("json") ? list_json(c) : list_text(c));
    return 0;
}

int info(const Line& line) {
    line.need_arguments({"ID", "FILE"});
    const Container c = Container::open(line.file(1), false);
    const Descriptor& d = c.need(line.id(0));
    print(line.flag("json") ? info_json(d) : info_text(d));
    return 0;
}

int dump(const Line& line, const Host& host) {
    line.need_arguments({"ID", "FILE"});
    const Container c = Container::open(line.file(1), false);
    const auto data = c.read(c.need(line.id(0)), [&] { host.poll(); });
    for (Slice s = data->next(); s.size() > 0; s = data->next()) print(s.text());
    return 0;
}

int create(const Line& line) {
    line.need_arguments({"FILE"});
    const std::string path = line.file(0);
    std::array<uint8_t, 16> uuid{};
    const bool fixed = std::getenv("SOURCE_DATE_EPOCH") != nullptr;
    if (!fixed) {
        if (::getrandom(uuid.data(), uuid.size(), 0) != static_cast<ssize_t>(uuid.size()))
            throw_errno("cannot read", "random bytes");
        uuid[6] = static_cast<uint8_t>((uuid[6] & 0x0f) | 0x40);  // RFC 4122, version 4
        uuid[8] = static_cast<uint8_t>((uuid[8] & 0x3f) | 0x80);
    }
    const File file(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0777));
    if (file.fd() < 0) throw_errno("cannot create", path);
    try {
        write_empty(file.fd(), path, edit_time(), uuid);
        sync(file.fd(), path);
    } catch (...) {
        ::unlink(path.c_str());
        throw;
    }
    return 0;
}

// The numbers of the reference tool's --datatype: 1 is Def.FILE, 4 a partition, and so on.
std::string datatype(const std::string& text) {
    const bool is_number =
        !text.empty() && text.size() < 3 && text.find_first_not_of("0123456789") == std::string::npos;
    const auto type = type_value(is_number ? std::to_string(0x4000 + std::stoi(text)) : text);
    if (type) return std::string(type_word(*type));
    throw Error(Code::usage, "'" + text + "' is no type of SIF object",
                "--datatype: deffile (1), env (2), labels (3), partition (4), signature (5), json (6), generic (7), "
                "message (8), sbom (9), oci-index (10), oci-blob (11)");
}

// Its --partarch is one of SIF's numbers for architectures (layout.hpp); a name is clearer.
std::string architecture(const std::string& text) {
    const bool is_number =
        !text.empty() && text.size() < 3 && text.find_first_not_of("0123456789") == std::string::npos;
    return is_number ? std::string(arch_name(text.size() == 1 ? "0" + text : text)) : text;
}

int add(const Line& line, const Host& host) {
    line.need_arguments({"SIF", "DATA"});
    const std::string* type = line.option("datatype");
    if (!type)
        throw Error(Code::usage, "`sif add` needs --datatype",
                    "for example: singularity sif add --datatype json x.sif data.json");
    PartInfo part;
    part.type = datatype(*type);
    part.group = part.type == "signature" ? 0 : 1;
    if (const auto* v = line.option("groupid")) part.group = Line::number(*v, "group id", ~group_mask);
    if (const auto* v = line.option("link")) part.link = Line::number(*v, "object id", ~group_mask);
    if (const auto* v = line.option("link-group"))
        part.link = Line::number(*v, "group id", ~group_mask), part.link_is_group = true;
    if (const auto* v = line.option("alignment")) part.alignment = Line::number(*v, "alignment", 1u << 30);
    const auto take = [&](const char* option, const char* attribute) {
        if (const auto* v = line.option(option)) part.attributes.emplace_back(attribute, *v);
    };
    if (part.type == "partition") {
        take("partfs", "fs"), take("parttype", "part");
        if (const auto* v = line.option("partarch")) part.attributes.emplace_back("arch", architecture(*v));
    } else if (part.type == "signature") {
        take("signhash", "hash"), take("signentity", "entity");
    } else if (part.type == "message") {
        take("message-format", "format"), take("message-type", "message");
    } else if (part.type == "sbom") {
        take("sbom-format", "format");
    } else if (part.type == "oci-index" || part.type == "oci-blob") {
        take("digest", "digest");
    }
    const std::string source = line.file(1);
    part.name = base_name(source);
    if (const auto* v = line.option("filename")) part.name = *v;
    part.created = part.modified = edit_time();

    File file(::open(source.c_str(), O_RDONLY | O_CLOEXEC));
    if (file.fd() < 0) throw_errno("cannot open", source);
    FileStream data(std::move(file), source);
    SifImage(line.file(0), true).add_part(part, data, host);
    return 0;
}

int remove(const Line& line) {
    line.need_arguments({"ID", "FILE"});
    SifImage(line.file(1), true).remove_part(line.id(0), line.flag("zero"));
    return 0;
}

int set_primary(const Line& line) {
    line.need_arguments({"ID", "FILE"});
    SifImage(line.file(1), true).set_primary(line.id(0));
    return 0;
}

}  // namespace

int SifCommand::run(const Invocation& invocation, const Host& host) {
    const Line line(invocation);
    const auto blank = invocation.verb.find(' ');
    const std::string verb = blank == std::string::npos ? "" : invocation.verb.substr(blank + 1);
    if (verb == "header") return header(line);
    if (verb == "list") return list(line);
    if (verb == "info") return info(line);
    if (verb == "dump") return dump(line, host);
    if (verb == "new") return create(line);
    if (verb == "add") return add(line, host);
    if (verb == "del") return remove(line);
    if (verb == "setprim") return set_primary(line);
    throw Error(Code::usage, verb.empty() ? "`sif` needs a command" : "`sif` has no command '" + verb + "'",
                "header, list, info, dump, new, add, del or setprim");
}

}  // namespace sif
