#include "remote-build/source.hpp"

#include <openssl/evp.h>
#include <sys/stat.h>

#include <algorithm>
#include <singularity/definition.hpp>
#include <singularity/format.h>
#include <singularity/json.hpp>

namespace remote_build {

namespace json = singularity::json;

namespace {

constexpr uint64_t max_document = 32 << 20;  // a definition file has at most 16 MiB

struct Local {
    std::string_view scheme, what;
};
constexpr Local local_sources[] = {
    {"docker-daemon", "the images of a Docker engine are on this machine"},
    {"docker-archive", "an archive of images is a file of this machine"},
    {"oci-archive", "an archive of images is a file of this machine"},
    {"oci", "an OCI image layout is a directory of this machine"},
    {"localimage", "it is an image of this machine"},
};

void refuse_local(const std::string& scheme, const std::string& shown) {
    for (const Local& l : local_sources)
        if (scheme == l.scheme)
            throw Error(Code::usage, shown + " cannot be built remotely: " + std::string(l.what) + ", which the builder does not see",
                        "Build it here, without --remote, or push the image to a registry or library and name it there.");
}

std::string base64(const std::string& bytes) {
    std::string out(4 * ((bytes.size() + 2) / 3) + 1, '\0');
    out.resize(static_cast<size_t>(EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()), reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()))));
    return out;
}

bool is_image(const std::string& path) {
    const auto& table = singularity::detail::need_table<sg_host_image_v1>("image");
    const sg_format_v1* format = nullptr;
    sg_image_file* image = nullptr;
    int32_t code = SG_OK;
    singularity::check([&](sg_error* e) {
        code = table.open(path.c_str(), &format, &image, e);
        return code == SG_EINVALID ? SG_OK : code;  // no format knows it: a definition
    });
    if (code == SG_OK) format->close(image);
    return code == SG_OK;
}

}  // namespace

std::string definition_of_uri(const std::string& uri) {
    const size_t colon = uri.find(':');
    const std::string scheme = uri.substr(0, colon);
    const bool fine = colon != std::string::npos && !scheme.empty() &&
                      std::all_of(scheme.begin(), scheme.end(), [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.'; });
    std::string from = fine ? uri.substr(colon + 1) : "";
    if (from.starts_with("//")) from.erase(0, 2);
    if (!fine || from.empty()) throw Error(Code::not_found, uri + " is neither a definition file nor a URI");
    if (std::any_of(from.begin(), from.end(), [](unsigned char c) { return c <= 0x20 || c == 0x7f; })) throw Error(Code::usage, "the URI holds blanks or control characters");
    refuse_local(scheme, uri);
    return "Bootstrap: " + scheme + "\nFrom: " + from + "\n";
}

Source source_of_document(const std::string& text, const std::string& name) {
    const json::Document document(text, "the host's reading of " + name, max_document);
    Source out;
    out.definition = document.root()["definition"].text();
    for (const auto& stage : document.root()["stages"].list()) {
        std::string scheme = stage["bootstrap"].text_or();
        std::transform(scheme.begin(), scheme.end(), scheme.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
        refuse_local(scheme, name + ", with 'Bootstrap: " + scheme + "',");
        for (const auto& file : stage["files"].list())
            if (file["stage"].text_or().empty()) out.files.push_back(file["source"].text());
    }
    return out;
}

Source read_source(const std::string& source, const std::vector<std::pair<std::string, std::string>>& options) {
    struct stat st {};
    if (stat(source.c_str(), &st) == 0) {
        if (S_ISDIR(st.st_mode)) throw Error(Code::usage, source + " cannot be built remotely: it is a directory of this machine, which the builder does not see");
        if (!S_ISREG(st.st_mode)) throw Error(Code::usage, source + " is neither a definition file nor a URI");
        if (is_image(source))
            throw Error(Code::usage, source + " cannot be built remotely: it is an image of this machine, which the builder does not see",
                        "Build from it here, without --remote, or push it to a library and name it there.");
        return source_of_document(singularity::read_definition(source, options), source);
    }
    const std::string definition = definition_of_uri(source);
    for (const auto& [name, value] : options)
        if (name == "build-arg" || name == "build-arg-file") throw Error(Code::usage, "build arguments are for definition files, and " + source + " is none");
    return {base64(definition), {}};
}

}  // namespace remote_build
