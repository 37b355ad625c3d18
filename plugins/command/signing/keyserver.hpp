// Key servers by HKP (draft-shaw-openpgp-hkp), over the host's transports.
#pragma once
#include <singularity/transport.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace signing {

class KeyServer {
public:
    // "https://HOST", "http://HOST", "hkp://HOST" or "hkps://HOST".
    // `authorization` is the header's value, "" = none; `insecure`: its certificate is not checked.
    explicit KeyServer(const std::string& url, std::string authorization = {}, bool insecure = false);
    const std::string& url() const { return url_; }

    // The armoured key with this fingerprint (or id of 8 or 16 digits); Code::not_found when there is none.
    std::string get(const std::string& id, const singularity::Host& host) const;
    void push(const std::string& armoured, const singularity::Host& host) const;

    struct Hit {
        std::string fingerprint, algorithm, bits, created, expires, flags;
        std::vector<std::string> users;
    };
    std::vector<Hit> search(const std::string& text, const singularity::Host& host) const;
    // Of an answer to a search ("machine readable", draft-shaw-openpgp-hkp-00, section 5.2), made fit to be shown.
    static std::vector<Hit> read_index(std::string_view answer);

private:
    std::string request(const char* method, const std::string& path, const std::string& form,
                        const singularity::Host& host) const;
    std::string url_, authorization_;
    bool insecure_;
};

// The servers to ask: `given`, else those of the remote in use, else the configured ones.
std::vector<KeyServer> key_servers(const std::string& given, const singularity::Host& host);

}  // namespace signing
