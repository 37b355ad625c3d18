// The Build API (github.com/sylabs/scs-build-client): what a builder is asked, and what it answers.
#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <remotes/service.hpp>
#include <string>
#include <string_view>

#include "remote-build/context.hpp"

namespace remote_build {

struct BuildRequest {
    std::string definition;      // base64
    std::string library_ref;     // "" = the builder chooses one
    std::string library_url;
    std::string arch;
    std::string context_digest;  // "" = no files
    std::string directory;       // where relative names of %files begin
};

struct BuildInfo {
    std::string id;
    bool complete = false;
    uint64_t size = 0;     // of the image; 0 = none was made
    std::string checksum;  // "sha256.HEX", or ""
    std::string library_ref, library_url;
    std::string message;   // why it failed, where a builder tells it; printable
    std::string page;      // a web page of this build; "" = the builder names none
};

// Any thread.
class Builder {
public:
    explicit Builder(remotes::Service service) : service_(std::move(service)) {}
    const std::string& url() const { return service_.base(); }

    // All throw what Service::refuse says, and Code::corrupt for answers that are none.
    BuildInfo submit(const BuildRequest& request, const Host& host) const;
    BuildInfo status(const std::string& id, const Host& host) const;
    void cancel(const std::string& id, const Host& host) const;

    // Uploads unless the builder has it already.
    void upload(const Context& context, const Host& host) const;
    void remove_context(const std::string& digest, const Host& host) const;

    // Hands on the log from its start until the builder says that it ends. Throws Code::network when it breaks off,
    // corrupt when the builder breaks the protocol, not_found when there is none.
    void log(const std::string& id, const std::function<void(std::string_view)>& text, const Host& host) const;

private:
    remotes::Service service_;
};

std::string json_of(const BuildRequest& request);
// Checks everything that is used later as part of an address. `where` is for messages.
BuildInfo build_info(const std::string& json, const std::string& where);

}  // namespace remote_build
