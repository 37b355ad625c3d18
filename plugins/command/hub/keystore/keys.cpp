#include "hub/keystore/keys.hpp"

#include <rnp/rnp.h>
#include <rnp/rnp_err.h>

#include <memory>
#include <set>

#include <singularity/error.hpp>
#include <singularity/text.hpp>

namespace hub {

using singularity::Code;
using singularity::Error;

namespace {

constexpr size_t largest_key = 256 << 10;

template <auto destroy>
struct With {
    template <class T>
    void operator()(T* p) const {
        destroy(p);
    }
};
using Ffi = std::unique_ptr<rnp_ffi_st, With<rnp_ffi_destroy>>;
using Key = std::unique_ptr<rnp_key_handle_st, With<rnp_key_handle_destroy>>;
using Uid = std::unique_ptr<rnp_uid_handle_st, With<rnp_uid_handle_destroy>>;
using Input = std::unique_ptr<rnp_input_st, With<rnp_input_destroy>>;
using Output = std::unique_ptr<rnp_output_st, With<rnp_output_destroy>>;

void need(rnp_result_t code, const char* what) {
    if (code != RNP_SUCCESS) throw Error(Code::invalid, std::string(what) + ": " + rnp_result_to_string(code));
}

template <class F>
std::string text(F&& f) {
    char* raw = nullptr;
    need(f(&raw), "the key cannot be read");
    std::string out = raw ? raw : "";
    rnp_buffer_destroy(raw);
    return out;
}

Ffi new_ffi() {
    rnp_ffi_t raw = nullptr;
    if (rnp_ffi_create(&raw, "GPG", "GPG") != RNP_SUCCESS) throw Error(Code::internal, "librnp does not start");
    // Its complaints about foreign keys go nowhere.
    return Ffi(raw);
}

void load(rnp_ffi_t ffi, const std::string& armour) {
    if (armour.size() > largest_key) throw Error(Code::limit, "a key has at most 256 KiB");
    rnp_input_t raw = nullptr;
    need(rnp_input_from_memory(&raw, reinterpret_cast<const uint8_t*>(armour.data()), armour.size(), false), "the key cannot be read");
    const Input input(raw);
    need(rnp_load_keys(ffi, "GPG", raw, RNP_LOAD_SAVE_PUBLIC_KEYS | RNP_LOAD_SAVE_SECRET_KEYS), "this is no OpenPGP key");
}

std::string only_fingerprint(rnp_ffi_t ffi) {
    rnp_identifier_iterator_t raw = nullptr;
    need(rnp_identifier_iterator_create(ffi, &raw, "fingerprint"), "the key cannot be read");
    const std::unique_ptr<rnp_identifier_iterator_st, With<rnp_identifier_iterator_destroy>> each(raw);
    std::string found;
    const char* print = nullptr;
    while (rnp_identifier_iterator_next(raw, &print) == RNP_SUCCESS && print) {
        rnp_key_handle_t handle = nullptr;
        need(rnp_locate_key(ffi, "fingerprint", print, &handle), "the key cannot be read");
        const Key key(handle);
        bool primary = false, secret = false;
        if (!handle || rnp_key_is_primary(handle, &primary) != RNP_SUCCESS || !primary) continue;
        if (rnp_key_have_secret(handle, &secret) == RNP_SUCCESS && secret) throw Error(Code::invalid, "this is a secret key: keep it to yourself");
        if (!found.empty()) throw Error(Code::invalid, "these are several keys: send them one by one");
        found = print;
    }
    if (found.empty()) throw Error(Code::invalid, "there is no OpenPGP key in this");
    return found;
}

std::string algorithm_number(const std::string& name) {  // RFC 9580, section 9.1
    return name == "RSA" ? "1" : name == "DSA" ? "17" : name == "ECDH" ? "18" : name == "ECDSA" ? "19" : name == "EDDSA" ? "22" : "0";
}

void add_ids(rnp_key_handle_t key, std::vector<std::string>& ids) {
    const std::string print = text([&](char** t) { return rnp_key_get_fprint(key, t); });
    ids.push_back(print);
    for (const size_t digits : {size_t{16}, size_t{8}})
        if (print.size() > digits) ids.push_back(print.substr(print.size() - digits));
}

}  // namespace

std::string fingerprint_of(const std::string& given) {
    const Ffi ffi = new_ffi();
    load(ffi.get(), given);
    return only_fingerprint(ffi.get());
}

PublicKey read_key(const std::string& given, const std::string& known) {
    std::set<std::string> known_users;
    if (!known.empty()) {
        const PublicKey before = read_key(known, {});
        for (size_t at = 0; at < before.users.size();) {
            const size_t end = std::min(before.users.find('\n', at), before.users.size());
            known_users.insert(before.users.substr(at, end - at));
            at = end + 1;
        }
    }
    const Ffi ffi = new_ffi();
    if (!known.empty()) load(ffi.get(), known);
    load(ffi.get(), given);
    PublicKey out;
    out.fingerprint = only_fingerprint(ffi.get());
    rnp_key_handle_t key = nullptr;
    need(rnp_locate_key(ffi.get(), "fingerprint", out.fingerprint.c_str(), &key), "the key cannot be read");
    const Key hold(key);
    bool revoked = false;
    uint32_t bits = 0, created = 0, lifetime = 0;
    need(rnp_key_is_revoked(key, &revoked), "the key cannot be read");
    need(rnp_key_get_bits(key, &bits), "the key cannot be read");
    need(rnp_key_get_creation(key, &created), "the key cannot be read");
    need(rnp_key_get_expiration(key, &lifetime), "the key cannot be read");
    size_t count = 0;
    need(rnp_key_get_uid_count(key, &count), "the key cannot be read");
    std::string user_lines;
    for (size_t i = count; i-- > 0;) {
        rnp_uid_handle_t handle = nullptr;
        need(rnp_key_get_uid_handle_at(key, i, &handle), "the key cannot be read");
        const Uid uid(handle);
        std::string name = text([&](char** t) { return rnp_key_get_uid_at(key, i, t); });
        for (char& c : name)
            if (static_cast<unsigned char>(c) < 0x20) c = ' ';
        bool valid = false;
        // A revoked key has no valid user ids; those that were valid before stay.
        if ((rnp_uid_is_valid(handle, &valid) != RNP_SUCCESS || !valid) && !known_users.contains(name)) {
            need(rnp_uid_remove(key, handle), "a user id that the key has not signed cannot be removed");
            continue;
        }
        out.users = name + "\n" + out.users;
        user_lines = "uid:" + singularity::percent_encoded(name) + ":" + std::to_string(created) + "::\n" + user_lines;
    }
    if (out.users.empty()) throw Error(Code::invalid, "the key has no user id that it has signed itself");
    out.listing = "pub:" + out.fingerprint + ":" + algorithm_number(text([&](char** t) { return rnp_key_get_alg(key, t); })) + ":" + std::to_string(bits) + ":" + std::to_string(created) + ":" +
                  (lifetime ? std::to_string(uint64_t{created} + lifetime) : "") + ":" + (revoked ? "r" : "") + "\n" + user_lines;
    add_ids(key, out.ids);
    size_t subkeys = 0;
    need(rnp_key_get_subkey_count(key, &subkeys), "the key cannot be read");
    for (size_t i = 0; i < subkeys; ++i) {
        rnp_key_handle_t sub = nullptr;
        need(rnp_key_get_subkey_at(key, i, &sub), "the key cannot be read");
        const Key hold_sub(sub);
        bool valid = false;  // another's key could be hung under this one to be found by its id
        if (rnp_key_is_valid(sub, &valid) == RNP_SUCCESS && valid) add_ids(sub, out.ids);
    }
    rnp_output_t raw = nullptr;
    need(rnp_output_to_memory(&raw, 0), "the key cannot be kept");
    const Output output(raw);
    need(rnp_key_export(key, raw, RNP_KEY_EXPORT_ARMORED | RNP_KEY_EXPORT_PUBLIC | RNP_KEY_EXPORT_SUBKEYS), "the key cannot be kept");
    uint8_t* bytes = nullptr;
    size_t size = 0;
    need(rnp_output_memory_get_buf(raw, &bytes, &size, false), "the key cannot be kept");
    if (size > largest_key) throw Error(Code::limit, "with what is known of it the key has more than 256 KiB");
    out.armour.assign(reinterpret_cast<const char*>(bytes), size);
    return out;
}

}  // namespace hub
