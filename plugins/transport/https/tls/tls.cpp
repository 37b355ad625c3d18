#include "https/tls/tls.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <singularity/error.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace {

using singularity::Code;
using singularity::Error;

using Context = std::shared_ptr<SSL_CTX>;

std::string openssl_reason() {
    const unsigned long e = ERR_peek_last_error();
    const char* text = e ? ERR_reason_error_string(e) : nullptr;
    return text ? text : "unknown failure";
}

// ---- The socket below, without SIGPIPE ------------------------------------------------------------

int bio_write(BIO* bio, const char* from, int size) {
    BIO_clear_retry_flags(bio);
    const auto fd = static_cast<int>(reinterpret_cast<intptr_t>(BIO_get_data(bio)));
    const ssize_t n = ::send(fd, from, static_cast<size_t>(size), MSG_NOSIGNAL);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) BIO_set_retry_write(bio);
    return static_cast<int>(n);
}

int bio_read(BIO* bio, char* to, int size) {
    BIO_clear_retry_flags(bio);
    const auto fd = static_cast<int>(reinterpret_cast<intptr_t>(BIO_get_data(bio)));
    const ssize_t n = ::recv(fd, to, static_cast<size_t>(size), 0);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) BIO_set_retry_read(bio);
    return static_cast<int>(n);
}

long bio_control(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH || command == BIO_CTRL_DUP ? 1 : 0; }

BIO* new_bio(int fd) {
    static BIO_METHOD* const method = [] {
        BIO_METHOD* m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket");
        BIO_meth_set_write(m, bio_write);
        BIO_meth_set_read(m, bio_read);
        BIO_meth_set_ctrl(m, bio_control);
        return m;
    }();
    BIO* bio = BIO_new(method);
    if (!bio) throw std::bad_alloc();
    BIO_set_data(bio, reinterpret_cast<void*>(static_cast<intptr_t>(fd)));
    BIO_set_init(bio, 1);
    return bio;
}

// ---- Whom we trust ----------------------------------------------------------------------------------

bool is_directory(const std::string& path) {
    struct stat st {};
    return ::stat(path.c_str(), &st) == 0 && S_ISDIR(st.st_mode);
}

std::vector<std::string> entries_of(const std::string& directory) {
    std::vector<std::string> names;
    if (DIR* d = ::opendir(directory.c_str())) {
        while (const dirent* e = ::readdir(d))
            if (e->d_name[0] != '.') names.emplace_back(e->d_name);
        ::closedir(d);
    }
    std::sort(names.begin(), names.end());
    return names;
}

void load_file(X509_STORE* store, const std::string& path) {
    ERR_clear_error();
    errno = 0;
    if (X509_STORE_load_file(store, path.c_str()) == 1) return;
    const int e = ::access(path.c_str(), R_OK) == 0 ? 0 : errno;
    throw Error(e == ENOENT ? Code::not_found : e == EACCES ? Code::permission : Code::invalid,
                "cannot read certificates from " + path + ": " + (e ? std::strerror(e) : "no PEM certificate is in it"));
}

// As c_rehash and update-ca-certificates name links: HASH.0. Such a directory is read only as far as it is needed.
bool is_hashed(const std::string& directory) {
    const auto names = entries_of(directory);
    return std::any_of(names.begin(), names.end(), [](const std::string& n) { return n.size() == 10 && n.compare(8, 2, ".0") == 0; });
}

// `strict`: each file must hold certificates.
void load_directory(X509_STORE* store, const std::string& directory, bool strict) {
    for (const std::string& name : entries_of(directory)) {
        const std::string path = directory + "/" + name;
        struct stat st {};
        if (::stat(path.c_str(), &st) != 0 || !S_ISREG(st.st_mode)) continue;
        if (strict && !name.ends_with(".crt") && !name.ends_with(".pem")) continue;
        if (strict)
            load_file(store, path);
        else
            X509_STORE_load_file(store, path.c_str());
    }
    ERR_clear_error();
}

void add_directory(X509_STORE* store, const std::string& directory) {
    if (is_hashed(directory))
        X509_STORE_load_path(store, directory.c_str());
    else
        load_directory(store, directory, false);
}

// The system's, or what SSL_CERT_FILE and SSL_CERT_DIR name in its place. A bundle takes 20 ms to read, so it is left
// alone where a hashed directory has the same.
void load_system(X509_STORE* store) {
    const char* file = std::getenv(X509_get_default_cert_file_env());
    const char* directories = std::getenv(X509_get_default_cert_dir_env());
    const bool own_file = file && *file, own_directories = directories && *directories;
    if (own_file) load_file(store, file);
    std::string_view rest = own_directories ? directories : X509_get_default_cert_dir();
    bool hashed = false;
    while (!rest.empty()) {
        const size_t colon = std::min(rest.find(':'), rest.size());
        const std::string directory(rest.substr(0, colon));
        if (own_directories)
            add_directory(store, directory);
        else if (!own_file && is_hashed(directory))
            hashed = X509_STORE_load_path(store, directory.c_str()) == 1;
        rest.remove_prefix(std::min(colon + 1, rest.size()));
    }
    if (!own_file && !own_directories && !hashed) X509_STORE_load_file(store, X509_get_default_cert_file());
    ERR_clear_error();
}

// ---- What went wrong with a certificate -------------------------------------------------------------

struct Refusal {
    int error = X509_V_OK;
    std::string subject, issuer, not_after, not_before;
    std::vector<std::string> names;
};

std::string name_text(const X509_NAME* name) {
    BIO* bio = BIO_new(BIO_s_mem());
    if (!bio || !name) return {};
    X509_NAME_print_ex(bio, name, 0, XN_FLAG_ONELINE & ~ASN1_STRFLGS_ESC_MSB);
    char* data = nullptr;
    const long size = BIO_get_mem_data(bio, &data);
    std::string out(data, static_cast<size_t>(std::min<long>(size, 300)));
    BIO_free(bio);
    return out;
}

std::string time_text(const ASN1_TIME* time) {
    tm t{};
    if (!time || ASN1_TIME_to_tm(time, &t) != 1) return "an unreadable date";
    char out[32];
    std::strftime(out, sizeof out, "%Y-%m-%d", &t);
    return out;
}

std::vector<std::string> names_of(X509* certificate) {
    std::vector<std::string> out;
    auto* names = static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
    for (int i = 0; i < sk_GENERAL_NAME_num(names) && out.size() < 5; ++i) {
        const GENERAL_NAME* n = sk_GENERAL_NAME_value(names, i);
        if (n->type == GEN_DNS) {
            out.emplace_back(reinterpret_cast<const char*>(ASN1_STRING_get0_data(n->d.dNSName)),
                             static_cast<size_t>(ASN1_STRING_length(n->d.dNSName)));
        } else if (n->type == GEN_IPADD) {
            char text[INET6_ADDRSTRLEN] = "";
            const int length = ASN1_STRING_length(n->d.iPAddress);
            ::inet_ntop(length == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(n->d.iPAddress), text, sizeof text);
            if (length == 4 || length == 16) out.emplace_back(text);
        }
    }
    GENERAL_NAMES_free(names);
    return out;
}

int on_verify(int good, X509_STORE_CTX* store) {
    if (good) return 1;
    auto* ssl = static_cast<SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
    auto* refusal = static_cast<Refusal*>(SSL_get_app_data(ssl));
    X509* certificate = X509_STORE_CTX_get_current_cert(store);
    if (refusal && refusal->error == X509_V_OK) {
        refusal->error = X509_STORE_CTX_get_error(store);
        if (certificate) {
            refusal->subject = name_text(X509_get_subject_name(certificate));
            refusal->issuer = name_text(X509_get_issuer_name(certificate));
            refusal->not_after = time_text(X509_get0_notAfter(certificate));
            refusal->not_before = time_text(X509_get0_notBefore(certificate));
            refusal->names = names_of(certificate);
        }
    }
    return 0;
}

Error refused(const Refusal& r, const std::string& where) {
    const std::string place = "~/.config/containers/certs.d/" + where + "/";
    const auto error = [&](const std::string& what, const std::string& hint) {
        return Error(Code::network, "the certificate of " + where + " " + what, hint,
                     "subject: " + r.subject + "\nissuer: " + r.issuer + "\nreason: " + X509_verify_cert_error_string(r.error))
            .because(EKEYREJECTED);
    };
    switch (r.error) {
        case X509_V_ERR_CERT_HAS_EXPIRED:
            return error("expired on " + r.not_after, "Its administrator must renew it. Is this machine's clock right?");
        case X509_V_ERR_CERT_NOT_YET_VALID:
            return error("is valid from " + r.not_before + " on", "Is this machine's clock right?");
        case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
            return error("is self-signed", "To trust it, put it into " + place + " as a file that ends in .crt.");
        case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
        case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
        case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
        case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
            return error("comes from an authority that is not trusted here (" + r.issuer + ")",
                         "To trust it, put the authority's certificate into " + place + " as a file that ends in .crt, or name its file in SSL_CERT_FILE.");
        case X509_V_ERR_HOSTNAME_MISMATCH:
        case X509_V_ERR_IP_ADDRESS_MISMATCH: {
            std::string names;
            for (const auto& n : r.names) names += (names.empty() ? "" : ", ") + n;
            return error("is for another host (" + (names.empty() ? r.subject : names) + ")", "Use a name that the certificate has.");
        }
        default:
            return error(std::string("is not accepted: ") + X509_verify_cert_error_string(r.error), "");
    }
}

// ---- Settings ---------------------------------------------------------------------------------------

Context make_context(const https_tls_settings& settings) {
    ERR_clear_error();
    Context context(SSL_CTX_new(TLS_client_method()), SSL_CTX_free);
    if (!context) throw Error(Code::internal, "OpenSSL: " + openssl_reason());
    SSL_CTX* c = context.get();
    SSL_CTX_set_min_proto_version(c, TLS1_2_VERSION);
    SSL_CTX_set_mode(c, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_options(c, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
    static constexpr unsigned char protocols[] = "\x08http/1.1";
    SSL_CTX_set_alpn_protos(c, protocols, sizeof protocols - 1);
    if (settings.verify) {
        SSL_CTX_set_verify(c, SSL_VERIFY_PEER, on_verify);
        X509_STORE* store = SSL_CTX_get_cert_store(c);
        load_system(store);
        for (const char* const* path = settings.ca; *path; ++path) {
            if (is_directory(*path))
                load_directory(store, *path, true);
            else
                load_file(store, *path);
        }
        // What is put into such a file is trusted, be it a root or not.
        X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
    }
    if (*settings.certificate) {
        // A passphrase is not asked for: the question would come from deep inside of a transfer.
        SSL_CTX_set_default_passwd_cb(c, [](char*, int, int, void*) { return -1; });
        const std::string certificate = settings.certificate, key = *settings.key ? settings.key : settings.certificate;
        if (SSL_CTX_use_certificate_chain_file(c, certificate.c_str()) != 1)
            throw Error(Code::invalid, "cannot use the client certificate " + certificate + ": " + openssl_reason());
        if (SSL_CTX_use_PrivateKey_file(c, key.c_str(), SSL_FILETYPE_PEM) != 1)
            throw Error(Code::invalid, "cannot use the client key " + key + ": " + openssl_reason(),
                        "It must be a PEM file without a passphrase that fits the certificate " + certificate + ".");
    }
    return context;
}

Context context_of(const https_tls_settings& settings) {
    static auto& mutex = *new std::mutex;
    static auto& known = *new std::map<std::string, Context>;
    const std::lock_guard lock(mutex);
    Context& c = known[settings.identity];
    if (!c) c = make_context(settings);
    return c;
}

}  // namespace

// ---- A connection -----------------------------------------------------------------------------------

struct https_tls {
    https_tls(int fd, const char* host, const char* where, const https_tls_settings& settings)
        : context_(context_of(settings)), ssl_(SSL_new(context_.get()), SSL_free), where_(where) {
        if (!ssl_) throw std::bad_alloc();
        SSL* s = ssl_.get();
        SSL_set_app_data(s, &refusal_);
        BIO* bio = new_bio(fd);
        SSL_set_bio(s, bio, bio);
        name_peer(host, settings.verify != 0);
    }
    https_tls(const https_tls&) = delete;
    https_tls& operator=(const https_tls&) = delete;
    ~https_tls() {
        ERR_clear_error();
        if (SSL_is_init_finished(ssl_.get())) SSL_shutdown(ssl_.get());
        ERR_clear_error();
    }

    int32_t shake_hands() {
        ERR_clear_error();
        errno = 0;
        const int rc = SSL_connect(ssl_.get());
        if (rc == 1) return HTTPS_TLS_SOME;
        const int32_t did = result_of(rc, "the TLS handshake with " + where_ + " failed");
        if (did == HTTPS_TLS_END)
            throw Error(Code::network, where_ + " closed the connection during the TLS handshake",
                        "Does it speak TLS, or is it a plain http server?");
        return did;
    }

    int32_t read(char* to, size_t size, size_t& bytes) {
        ERR_clear_error();
        errno = 0;
        const int rc = SSL_read_ex(ssl_.get(), to, size, &bytes);
        return rc == 1 ? HTTPS_TLS_SOME : result_of(rc, "the TLS connection to " + where_ + " broke");
    }
    int32_t write(const char* from, size_t size, size_t& bytes) {
        ERR_clear_error();
        errno = 0;
        const int rc = SSL_write_ex(ssl_.get(), from, size, &bytes);
        if (rc == 1) return HTTPS_TLS_SOME;
        // The answer may say why nothing more is taken, and may have come already.
        if (SSL_get_error(ssl_.get(), rc) == SSL_ERROR_SYSCALL && (errno == EPIPE || errno == ECONNRESET)) return HTTPS_TLS_END;
        return result_of(rc, "the TLS connection to " + where_ + " broke");
    }

private:
    void name_peer(const char* host, bool verify) {
        SSL* s = ssl_.get();
        unsigned char address[16];
        const bool literal = ::inet_pton(AF_INET, host, address) == 1 || ::inet_pton(AF_INET6, host, address) == 1;
        std::string name = host;
        if (!name.empty() && name.back() == '.') name.pop_back();
        if (!literal) SSL_set_tlsext_host_name(s, name.c_str());
        if (!verify) return;
        X509_VERIFY_PARAM* p = SSL_get0_param(s);
        X509_VERIFY_PARAM_set_hostflags(p, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
        if (literal ? X509_VERIFY_PARAM_set1_ip_asc(p, host) != 1 : X509_VERIFY_PARAM_set1_host(p, name.c_str(), name.size()) != 1)
            throw Error(Code::invalid, std::string("no certificate can be checked for the host ") + host);
    }

    int32_t result_of(int rc, const std::string& what) {
        const int e = errno;
        switch (SSL_get_error(ssl_.get(), rc)) {
            case SSL_ERROR_WANT_READ: return HTTPS_TLS_WANT_READ;
            case SSL_ERROR_WANT_WRITE: return HTTPS_TLS_WANT_WRITE;
            case SSL_ERROR_ZERO_RETURN: return HTTPS_TLS_END;
            case SSL_ERROR_SYSCALL:
                if (e != 0) throw Error(Code::network, what + ": " + std::strerror(e)).because(e);
                cut_off(what);
            default: break;
        }
        if (refusal_.error != X509_V_OK) throw refused(refusal_, where_);
        switch (ERR_GET_REASON(ERR_peek_last_error())) {
            case SSL_R_UNEXPECTED_EOF_WHILE_READING: cut_off(what);
            case SSL_R_WRONG_VERSION_NUMBER:
            case SSL_R_HTTP_REQUEST:
            case SSL_R_PACKET_LENGTH_TOO_LONG:
                throw Error(Code::network, where_ + " does not speak TLS", "Is it a plain http server?").because(EPROTO);
            case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
                throw Error(Code::unauthorized, where_ + " wants a client certificate",
                            "Put it into ~/.config/containers/certs.d/" + where_ + "/ as NAME.cert and NAME.key.");
            default: break;
        }
        throw Error(Code::network, what + ": " + openssl_reason());
    }

    // An end without TLS's own goodbye may be an attacker's.
    [[noreturn]] void cut_off(const std::string& what) const {
        throw Error(Code::network, what + ": it was cut off",
                    SSL_is_init_finished(ssl_.get()) ? "" : "Does it speak TLS, or is it a plain http server?");
    }

    Context context_;
    Refusal refusal_;
    std::unique_ptr<SSL, void (*)(SSL*)> ssl_;
    std::string where_;
};

namespace {

const https_tls_v1 table = {
    [](int32_t fd, const char* host, const char* where, const https_tls_settings* settings, https_tls** out, sg_error* err) {
        return singularity::guard(err, [&] { *out = new https_tls(fd, host, where, *settings); });
    },
    [](https_tls* tls, int32_t* did, sg_error* err) { return singularity::guard(err, [&] { *did = tls->shake_hands(); }); },
    [](https_tls* tls, char* to, uint64_t size, int32_t* did, uint64_t* bytes, sg_error* err) {
        return singularity::guard(err, [&] {
            size_t n = 0;
            *did = tls->read(to, size, n);
            *bytes = n;
        });
    },
    [](https_tls* tls, const char* from, uint64_t size, int32_t* did, uint64_t* bytes, sg_error* err) {
        return singularity::guard(err, [&] {
            size_t n = 0;
            *did = tls->write(from, size, n);
            *bytes = n;
        });
    },
    [](https_tls* tls) { delete tls; },
};

}  // namespace

extern "C" SG_EXPORT const https_tls_v1* https_tls_table(void) { return &table; }
