#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <ctime>

#include "signing/commands.hpp"
#include "signing/keyring.hpp"
#include "signing/keyserver.hpp"
#include "signing/line.hpp"
#include "signing/prompt.hpp"

#include <singularity/json.hpp>

namespace signing {

using singularity::Code;
using singularity::Error;
using singularity::Host;

namespace {

std::string time_text(int64_t time) {
    if (time == 0) return "never";
    char text[64];
    const time_t t = time;
    tm parts{};
    gmtime_r(&t, &parts);
    strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S +0000 UTC", &parts);
    return text;
}

KeyFacts need_key(Keys& keys, const std::string& id) {
    auto key = keys.find(id);
    if (!key) throw Error(Code::not_found, "no key with the fingerprint " + id + " is in the key ring", "see: singularity key list");
    return *key;
}

int list(const Line& line) {
    if (!line.arguments().empty()) throw Error(Code::usage, "'key list' takes no argument");
    const bool secret = line.flag("secret");
    KeyRing ring = KeyRing::of_user();
    const auto keys = ring.keys().list(secret);
    if (line.flag("json")) {
        std::string out;
        for (const auto& k : keys)
            out += (out.empty() ? "" : ",") + std::string("\n    {\"fingerprint\": ") + quoted(k.fingerprint) + ", \"user\": " + quoted(k.user) + ", \"algorithm\": " +
                   quoted(k.algorithm) + ", \"bits\": " + std::to_string(k.bits) + ", \"created\": " + std::to_string(k.created) + ", \"expires\": " +
                   (k.expires ? std::to_string(k.expires) : "null") + ", \"revoked\": " + (k.revoked ? "true" : "false") + ", \"secret\": " + (k.secret ? "true" : "false") + "}";
        print("{\n  \"keys\": [" + out + (out.empty() ? "]" : "\n  ]") + "\n}\n");
        return 0;
    }
    std::string out = std::string(secret ? "Private" : "Public") + " key listing (" + ring.directory() + (secret ? "/pgp-secret" : "/pgp-public") + "):\n\n";
    for (size_t i = 0; i < keys.size(); ++i) {
        const auto& k = keys[i];
        out += std::to_string(i) + ")  User:              " + singularity::json::printable(k.user, 300) + "\n";
        out += "    Creation time:     " + time_text(k.created) + "\n";
        out += "    Fingerprint:       " + k.fingerprint + "\n";
        out += "    Length (in bits):  " + std::to_string(k.bits) + "\n";
        if (k.expires) out += "    Expires:           " + time_text(k.expires) + "\n";
        if (k.revoked) out += "    Revoked\n";
        out += "\n";
    }
    print(out);
    return 0;
}

int newpair(const Line& line, const Host& host) {
    std::string name = line.option("name"), mail = line.option("email"), comment = line.option("comment"), passphrase = line.option("password");
    const bool asked = name.empty() || mail.empty();
    if (name.empty()) name = ask("Enter your name (e.g., John Doe) : ");
    if (mail.empty()) mail = ask("Enter your email address (e.g., john.doe@example.com) : ");
    if (asked && comment.empty()) comment = ask("Enter optional comment (e.g., development keys) : ");
    if (name.empty() || mail.empty()) throw Error(Code::invalid, "a key needs a name and an e-mail address");
    for (const std::string& text : {name, mail, comment})
        if (text.find_first_of("<>()\n") != std::string::npos) throw Error(Code::invalid, "a name, comment or address must not hold < > ( ) or a new line");
    if (!line.flag("password") && line.option("password").empty()) {
        passphrase = ask_secret("Enter a passphrase : ");
        if (ask_secret("Retype your passphrase : ") != passphrase) throw Error(Code::invalid, "the two passphrases differ");
        if (passphrase.empty()) host.warn("the secret key is not protected by a passphrase");
    } else {
        host.warn("a passphrase on the command line can be seen by others on this machine");
    }
    const auto bits = line.number("bit-length").value_or(4096);
    if (bits < 2048 || bits > 16384) throw Error(Code::usage, "--bit-length must be between 2048 and 16384");
    print("Generating Entity and OpenPGP Key Pair... ");
    KeyRing ring = KeyRing::of_user();
    const std::string user = name + (comment.empty() ? "" : " (" + comment + ")") + " <" + mail + ">";
    const std::string fingerprint = ring.keys().generate(user, passphrase, static_cast<unsigned>(bits));
    explicit_bzero(passphrase.data(), passphrase.size());
    ring.keep(fingerprint);
    print("done\n");
    if (line.flag("push")) {
        const auto server = key_servers(line.option("url"), host).front();
        server.push(ring.keys().exported(fingerprint, false, true), host);
        print("Key successfully pushed to: " + server.url() + "\n");
    } else {
        host.info("The key " + fingerprint + " is in " + ring.directory() + "; 'singularity key push' makes its public part known");
    }
    return 0;
}

std::string read_file(const std::string& path) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st {};
    if (fd < 0 || ::fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size > (64 << 20)) {
        const int e = errno;
        if (fd >= 0) ::close(fd);
        if (fd >= 0) throw Error(Code::invalid, path + " is no file of keys");
        throw Error(e == ENOENT ? Code::not_found : Code::permission, "cannot open " + path + ": " + std::strerror(e));
    }
    std::string out(static_cast<size_t>(st.st_size), '\0');
    const ssize_t n = ::read(fd, out.data(), out.size());
    ::close(fd);
    out.resize(n > 0 ? static_cast<size_t>(n) : 0);
    return out;
}

int import_keys(const Line& line) {
    const std::string path = line.file(only_argument(line, "FILE"));
    KeyRing ring = KeyRing::of_user();
    const auto came = ring.add(read_file(path));
    if (came.empty()) throw Error(Code::invalid, path + " holds no new key");
    for (const auto& id : came) print("Key imported successfully: " + id + " " + need_key(ring.keys(), id).user + "\n");
    return 0;
}

int export_key(const Line& line) {
    const auto& arguments = line.arguments();
    const std::string path = line.file(only_argument(line, "FILE"));
    const bool secret = line.flag("secret");
    KeyRing ring = KeyRing::of_user();
    const auto keys = ring.keys().list(secret);
    if (keys.empty()) throw Error(Code::not_found, "there is no key to export");
    size_t index = 0;
    if (const auto id = line.option("fingerprint"); !id.empty()) {
        const auto wanted = need_key(ring.keys(), id).fingerprint;
        index = static_cast<size_t>(std::find_if(keys.begin(), keys.end(), [&](const auto& k) { return k.fingerprint == wanted; }) - keys.begin());
    } else if (keys.size() > 1) {
        std::string question;
        for (size_t i = 0; i < keys.size(); ++i) question += std::to_string(i) + ")  " + keys[i].user + "  " + keys[i].fingerprint + "\n";
        const std::string answer = ask(question + "Enter # of key to export : ");
        index = answer.size() == 1 && answer[0] >= '0' && answer[0] <= '9' ? static_cast<size_t>(answer[0] - '0') : keys.size();
    }
    if (index >= keys.size()) throw Error(Code::usage, "there is no such key", "see: singularity key list");
    const std::string bytes = ring.keys().exported(keys[index].fingerprint, secret, line.flag("ascii"));
    const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, secret ? 0600 : 0644);
    if (fd < 0) throw Error(errno == EEXIST ? Code::exists : Code::permission, "cannot write " + path + ": " + std::strerror(errno));
    const bool good = ::write(fd, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()) && ::fsync(fd) == 0;
    ::close(fd);
    if (!good) {
        ::unlink(path.c_str());
        throw Error(Code::io, "cannot write " + path);
    }
    print(std::string(secret ? "Private" : "Public") + " key with fingerprint " + keys[index].fingerprint + " exported to " + arguments.front() + "\n");
    return 0;
}

int remove(const Line& line) {
    const std::string& id = only_argument(line, "FINGERPRINT");
    const bool both = line.flag("both"), secret = line.flag("secret");
    KeyRing ring = KeyRing::of_user();
    const KeyFacts key = need_key(ring.keys(), id);
    if ((secret || both) && key.secret) ring.remove(key.fingerprint, true);
    if (secret && !key.secret) throw Error(Code::not_found, "the key " + key.fingerprint + " has no secret part here");
    if (!secret || both) ring.remove(key.fingerprint, false);
    print("Removed the key " + key.fingerprint + " of " + key.user + "\n");
    return 0;
}

int pull(const Line& line, const Host& host) {
    const std::string& id = only_argument(line, "FINGERPRINT");
    if ((id.size() != 40 && id.size() != 16 && id.size() != 8) || id.find_first_not_of("0123456789abcdefABCDEF") != std::string::npos)
        throw Error(Code::usage, "'" + id + "' is no fingerprint", "40 hexadecimal digits, or the last 16 or 8 of them; 'singularity key search TEXT' finds them");
    Keys candidate;
    candidate.add(key_servers(line.option("url"), host).front().get(id, host));
    const auto key = candidate.find(id);
    if (!key || candidate.list(false).size() != 1) throw Error(Code::corrupt, "the key server answered with another key than " + id + "; it is not taken");
    KeyRing ring = KeyRing::of_user();
    ring.add(candidate.exported(key->fingerprint, false, false));
    print("1 key(s) added to keyring of trust " + ring.directory() + "/pgp-public\n");
    return 0;
}

int push(const Line& line, const Host& host) {
    KeyRing ring = KeyRing::of_user();
    const KeyFacts key = need_key(ring.keys(), only_argument(line, "FINGERPRINT"));
    const auto server = key_servers(line.option("url"), host).front();
    server.push(ring.keys().exported(key.fingerprint, false, true), host);
    print("public key '" + key.fingerprint + "' pushed to server successfully\n");
    return 0;
}

std::string algorithm_name(const std::string& number) {
    if (number == "1") return "RSA";
    if (number == "17") return "DSA";
    if (number == "18") return "ECDH";
    if (number == "19") return "ECDSA";
    if (number == "22") return "EdDSA";
    return number;
}

int search(const Line& line, const Host& host) {
    const auto hits = key_servers(line.option("url"), host).front().search(only_argument(line, "TEXT"), host);
    print("Showing " + std::to_string(hits.size()) + " results\n\n");
    std::string out = "FINGERPRINT                               ALGORITHM  BITS  NAME/EMAIL\n";
    for (const auto& h : hits) {
        const std::string name = h.users.empty() ? "" : h.users.front();
        std::string row = h.fingerprint + std::string(h.fingerprint.size() < 42 ? 42 - h.fingerprint.size() : 1, ' ');
        const std::string kind = algorithm_name(h.algorithm);
        row += kind + std::string(kind.size() < 11 ? 11 - kind.size() : 1, ' ') + h.bits + std::string(h.bits.size() < 6 ? 6 - h.bits.size() : 1, ' ') + name;
        if (h.flags.find('r') != std::string::npos) row += " (revoked)";
        if (h.flags.find('e') != std::string::npos) row += " (expired)";
        out += row + "\n";
    }
    print(out);
    return 0;
}

}  // namespace

int KeyCommand::run(const singularity::Invocation& invocation, const Host& host) {
    const Line line(invocation);
    const std::string verb = invocation.verb.substr(invocation.verb.find(' ') + 1);
    if (verb == "list") return list(line);
    if (verb == "newpair") return newpair(line, host);
    if (verb == "import") return import_keys(line);
    if (verb == "export") return export_key(line);
    if (verb == "remove") return remove(line);
    if (verb == "pull") return pull(line, host);
    if (verb == "push") return push(line, host);
    if (verb == "search") return search(line, host);
    throw Error(Code::usage, "'key' has no command '" + verb + "'");
}

}  // namespace signing
