// singularity search QUERY, singularity delete URI
#include "library/commands.hpp"

#include <sys/utsname.h>

#include <algorithm>
#include <singularity/json.hpp>
#include <singularity/text.hpp>

#include "library/client.hpp"
#include "remotes/active.hpp"
#include "remotes/line.hpp"

namespace library {

namespace json = singularity::json;
using remotes::Line;

namespace {

constexpr size_t least_query = 3;

std::string machine_arch() {
    static constexpr std::pair<std::string_view, const char*> names[] = {
        {"x86_64", "amd64"}, {"aarch64", "arm64"}, {"i686", "386"}, {"armv7l", "arm"}};
    struct utsname u {};
    ::uname(&u);
    for (const auto& [kernel, go] : names)
        if (u.machine == kernel) return go;
    return u.machine;  // ppc64le, s390x, riscv64
}

std::string arch_of(const Line& line) {
    const std::string given = line.option("arch");
    return given.empty() ? machine_arch() : given;
}

// "library://alice/default/lolcow:latest,v1"
std::string shown(const json::Value& image) {
    std::string out = "library://" + image["entityName"].text_or() + "/" + image["collectionName"].text_or() + "/" +
                      image["containerName"].text_or();
    std::string tags;
    for (const std::string& tag : image["tags"].texts()) tags += (tags.empty() ? ":" : ",") + tag;
    return json::printable(out + (tags.empty() ? ":" + image["hash"].text_or() : tags), 1024);
}

}  // namespace

int SearchCommand::run(const singularity::Invocation& invocation, const Host& host) {
    const Line line(invocation);
    const std::string& query = line.arguments(1, 1, "QUERY").front();
    if (query.size() < least_query)
        throw Error(Code::usage,
                    "Bad query '" + json::printable(query) + "'. You must search for at least 3 characters");
    const std::string arch = arch_of(line);
    const remotes::Service library = remotes::active_service("library", line.option("library"), host);
    host.info("Searching the library at " + library.base() + " only: Docker Hub and other registries are not searched");
    remotes::Call call;
    call.path = "v1/search?value=" + singularity::percent_encoded(query) +
                "&arch=" + singularity::percent_encoded(arch) + (line.flag("signed") ? "&signed=true" : "");
    const remotes::Reply reply = library.ask(call, host);
    if (reply.status != 200) library.refuse(reply, "cannot search");
    const json::Document document(reply.text, "the answer of " + library.base());
    const auto images = document.root()["data"]["image"].list();
    if (images.empty()) {
        remotes::print("No container images found for " + arch + " matching \"" + query + "\".\n\n");
        return 0;
    }
    std::string out =
        "Found " + std::to_string(images.size()) + " container images for " + arch + " matching \"" + query + "\":\n\n";
    for (const auto& image : images) {
        out += "\t" + shown(image) + "\n";
        std::string description = image["description"].text_or();
        if (description.empty()) description = image["containerDescription"].text_or();
        if (!description.empty() && description != "No description")
            out += "\t\t" + json::printable(description, 300) + "\n";
        std::string prints;
        for (const std::string& print : image["fingerprints"].texts())
            prints += (prints.empty() ? "" : ",") + json::printable(print, 64);
        if (!prints.empty()) out += "\t\tSigned by: " + prints + "\n";
        out += "\n";
    }
    remotes::print(out);
    return 0;
}

int DeleteCommand::run(const singularity::Invocation& invocation, const Host& host) {
    const Line line(invocation);
    std::string text = line.arguments(1, 1, "library://ENTITY/COLLECTION/CONTAINER[:TAG]").front();
    if (text.starts_with("library://"))
        text.erase(0, 10);
    else if (text.starts_with("library:"))
        text.erase(0, 8);
    else if (text.find("://") != std::string::npos)
        throw Error(Code::usage, "only images of a Library are deleted: library://ENTITY/COLLECTION/CONTAINER:TAG");
    const LibraryReference reference = LibraryReference::parse(text);
    reference.need_whole("delete");
    const std::string arch = arch_of(line),
                      name = "library://" + (reference.host.empty() ? "" : reference.host + "/") + reference.image();
    const Client client = client_for(reference, line.option("library"), line.flag("no-https"), host);
    if (!line.flag("force") &&
        !remotes::ask_yes("Are you sure you want to delete " + name + " (" + arch + ") [N/y] ")) {
        host.info("Nothing is deleted.");
        return 0;
    }
    remotes::Call call;
    call.method = "DELETE";
    call.path = "v1/images/" + reference.image() + "?arch=" + singularity::percent_encoded(arch);
    const uint64_t seconds = line.number("timeout").value_or(15);
    call.timeout_ms = static_cast<uint32_t>(std::min<uint64_t>(seconds, 86400) * 1000);
    const remotes::Reply reply = client.service().ask(call, host);
    if (reply.status == 404)
        throw Error(Code::not_found, "image does not exist in the library: " + reference.image() + " (" + arch + ")");
    if (reply.status != 200) client.service().refuse(reply, "cannot delete " + name);
    host.info("Image " + reference.image() + " (" + arch + ") deleted.");
    return 0;
}

}  // namespace library
