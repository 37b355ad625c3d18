// What remote.yaml holds: remote end points, which one is active, and logins of key servers (Apptainer's user
// guide, "Remote Endpoints"). SingularityCE and Apptainer read and write the same file.
//
// Values; not for several threads.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace remotes {

struct KeyServerEntry {
    std::string uri;
    bool skip = false;      // the remote's own one, taken out
    bool external = false;  // not the remote's own: its token does not go there
    bool insecure = false;  // certificates are not checked
};

struct Remote {
    std::string name;
    std::string uri;    // "HOST[:PORT][/PATH]", no scheme
    std::string token;  // "" = logged out; a secret
    bool system = false, exclusive = false;
    bool insecure = false;                   // spoken to by http
    std::vector<KeyServerEntry> keyservers;  // empty: only the one that the remote names

    std::string url() const { return (insecure ? "http://" : "https://") + uri; }
};

// A login to a key server, or the note of one to a registry (whose password is kept elsewhere).
struct Login {
    std::string uri;
    std::string auth;  // "Basic ..." or "Bearer ...", or ""; a secret
    bool insecure = false;
};

struct Config {
    std::string active;
    std::vector<Remote> remotes;  // by name
    std::vector<Login> logins;

    // nullptr when there is none.
    Remote* find(std::string_view name);
    const Remote* find(std::string_view name) const;
    // Throws Code::not_found.
    Remote& need(std::string_view name);
    const Remote& need(std::string_view name) const;
    const Remote& need_active() const;

    // All throw Code::exists, not_found or permission. `of_system`: this is the site's file.
    void add(Remote remote);
    void remove(const std::string& name, bool of_system);
    void use(const std::string& name, bool exclusive, bool of_system);

    // The site's remotes as a user sees them: their address, exclusiveness and key servers are those of the site; a
    // user's own one of that name stays.
    void merge_site(const Config& site);

    // The login for that service, or nullptr.
    const Login* login_of(const std::string& uri) const;
    void set_login(Login login);
    bool remove_login(const std::string& uri);  // false: there was none
};

inline constexpr std::string_view default_remote = "SylabsCloud", default_remote_uri = "cloud.sylabs.io";
inline constexpr std::string_view apptainer_cloud_uri =
    "cloud.apptainer.org";  // the default of Apptainer: key servers only
// What holds when there is no file at all.
Config default_config();

// `remote` has it already: exists; out of range: usage; the last one: invalid. `own` is the server that the remote
// names, which stands first when none is listed yet.
void add_keyserver(Remote& remote, const std::string& own, const std::string& uri, uint32_t order, bool insecure);
void remove_keyserver(Remote& remote, const std::string& own, const std::string& uri);

}  // namespace remotes
