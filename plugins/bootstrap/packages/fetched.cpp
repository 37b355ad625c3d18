#include "packages/fetched.hpp"

#include <singularity/transport.hpp>

namespace packages {

using singularity::Code;
using singularity::Error;
using singularity::Host;

std::string fetched(const std::string& url, uint64_t limit, const std::string& what, const Host& host) {
    const size_t colon = url.find(':');
    const bool path = url.starts_with('/');
    if (!path && (colon == std::string::npos || colon == 0 || url.find('/') < colon))
        throw Error(Code::invalid, what + " '" + url + "' is neither a URL nor an absolute path");
    std::string full = path ? "file://" + url : url;
    for (size_t at = 0; path && (at = full.find('%', at)) != std::string::npos; at += 3) full.replace(at, 1, "%25");
    const std::string scheme = full.substr(0, full.find(':'));
    const sg_request request = singularity::plain_request(full.c_str());
    auto answer = singularity::send(host, scheme.c_str(), request);
    if (answer.status() == 404 || answer.status() == 410) throw Error(Code::not_found, what + ": there is nothing at " + url + " (" + std::to_string(answer.status()) + ")");
    if (answer.status() != 200) throw Error(Code::network, what + ": " + url + " was answered with " + std::to_string(answer.status()));
    auto task = host.task("Fetching " + url, answer.size());
    const auto body = answer.body();
    std::string out = singularity::read_all(*body, limit, url);
    task.advance(out.size());
    task.done();
    if (answer.size() != SG_SIZE_UNKNOWN && answer.size() != out.size()) throw Error(Code::network, what + ": " + url + " broke off");
    return out;
}

}  // namespace packages
