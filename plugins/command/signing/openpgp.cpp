#include "signing/openpgp.hpp"

#include <rnp/rnp.h>
#include <rnp/rnp_err.h>

#include <algorithm>
#include <cstdio>
#include <cstring>

#include <singularity/error.hpp>
#include <singularity/printable.hpp>

namespace signing {

using singularity::Code;
using singularity::Error;

namespace {

void check(rnp_result_t rc, const std::string& what, Code code = Code::invalid) {
    if (rc == RNP_SUCCESS) return;
    if (rc == RNP_ERROR_BAD_PASSWORD) throw Error(Code::unauthorized, what + ": the passphrase is wrong");
    throw Error(code, what + ": " + rnp_result_to_string(rc));
}

struct Text {  // a string that librnp made
    char* text = nullptr;
    ~Text() { rnp_buffer_destroy(text); }
    std::string str() const { return text ? text : ""; }
};

template <class T, rnp_result_t (*Destroy)(T)>
struct Handle {
    T handle = nullptr;
    Handle() = default;
    Handle(Handle&& o) noexcept : handle(std::exchange(o.handle, nullptr)) {}
    Handle& operator=(Handle&&) = delete;
    ~Handle() {
        if (handle) Destroy(handle);
    }
};
using Key = Handle<rnp_key_handle_t, rnp_key_handle_destroy>;
using Input = Handle<rnp_input_t, rnp_input_destroy>;
using Output = Handle<rnp_output_t, rnp_output_destroy>;

Input input_of(std::string_view bytes) {
    Input in;
    check(rnp_input_from_memory(&in.handle, reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size(), false), "reading", Code::internal);
    return in;
}

// librnp of Debian tells its own story on stderr; what matters comes back as a result.
class Quiet {
public:
    Quiet() : before_(stderr) {
        static FILE* const nothing = fopen("/dev/null", "we");
        if (nothing) stderr = nothing;
    }
    Quiet(const Quiet&) = delete;
    Quiet& operator=(const Quiet&) = delete;
    ~Quiet() { stderr = before_; }

private:
    FILE* before_;
};

std::string bytes_of(const Output& out) {
    uint8_t* data = nullptr;
    size_t size = 0;
    // An output that nothing was written to has no buffer to give.
    if (rnp_output_memory_get_buf(out.handle, &data, &size, false) == RNP_ERROR_BAD_PARAMETERS) return {};
    check(rnp_output_memory_get_buf(out.handle, &data, &size, false), "writing", Code::internal);
    return {reinterpret_cast<char*>(data), size};
}

Output memory_output() {
    Output out;
    check(rnp_output_to_memory(&out.handle, 0), "writing", Code::internal);
    return out;
}

KeyFacts facts_of(rnp_key_handle_t key) {
    KeyFacts f;
    Text fingerprint, user, algorithm;
    check(rnp_key_get_fprint(key, &fingerprint.text), "a key");
    f.fingerprint = fingerprint.str();
    if (rnp_key_get_primary_uid(key, &user.text) != RNP_SUCCESS) rnp_key_get_uid_at(key, 0, &user.text);
    f.user = singularity::printable(user.str());
    rnp_key_get_alg(key, &algorithm.text);
    f.algorithm = algorithm.str();
    rnp_key_get_bits(key, &f.bits);
    uint32_t created = 0, lives = 0;
    rnp_key_get_creation(key, &created);
    rnp_key_get_expiration(key, &lives);
    f.created = created;
    f.expires = lives ? int64_t{created} + lives : 0;
    rnp_key_is_revoked(key, &f.revoked);
    rnp_key_have_secret(key, &f.secret);
    return f;
}

bool is_primary(rnp_key_handle_t key) {
    bool primary = false;
    return rnp_key_is_primary(key, &primary) == RNP_SUCCESS && primary;
}

}  // namespace

struct Keys::Impl {
    rnp_ffi_t ffi = nullptr;
    Passphrase ask;
    std::string given;  // of a key that is being made
    std::exception_ptr failed;  // while asking

    static bool pass(rnp_ffi_t, void* self_, rnp_key_handle_t key, const char*, char* out, size_t capacity) {
        auto* self = static_cast<Impl*>(self_);
        std::string text = self->given;
        try {
            if (text.empty() && self->ask) text = self->ask(key ? facts_of(key).user : std::string());
        } catch (...) {
            self->failed = std::current_exception();
            return false;
        }
        if (text.size() + 1 > capacity) return false;
        std::memcpy(out, text.c_str(), text.size() + 1);
        return true;
    }
    Key find(const std::string& kind, const std::string& id) const {
        Key key;
        if (rnp_locate_key(ffi, kind.c_str(), id.c_str(), &key.handle) != RNP_SUCCESS) key.handle = nullptr;
        return key;
    }
    Key need(const std::string& fingerprint) const {
        Key key = find("fingerprint", fingerprint);
        if (!key.handle) throw Error(Code::not_found, "no key has the fingerprint " + fingerprint);
        return key;
    }
    template <class Visit>
    void each(const Visit& visit) const {
        Handle<rnp_identifier_iterator_t, rnp_identifier_iterator_destroy> it;
        check(rnp_identifier_iterator_create(ffi, &it.handle, "fingerprint"), "the keys", Code::internal);
        for (const char* id = nullptr; rnp_identifier_iterator_next(it.handle, &id) == RNP_SUCCESS && id;) {
            const Key key = find("fingerprint", id);
            if (key.handle && is_primary(key.handle)) visit(key.handle);
        }
    }
};

Keys::Keys() : impl_(std::make_unique<Impl>()) {
    check(rnp_ffi_create(&impl_->ffi, "GPG", "GPG"), "librnp", Code::internal);
    rnp_ffi_set_pass_provider(impl_->ffi, Impl::pass, impl_.get());
}

Keys::~Keys() { rnp_ffi_destroy(impl_->ffi); }

std::vector<std::string> Keys::add(std::string_view bytes) {
    if (bytes.empty()) return {};
    const Quiet quiet;
    const Input in = input_of(bytes);
    Text results;
    check(rnp_import_keys(impl_->ffi, in.handle, RNP_LOAD_SAVE_PUBLIC_KEYS | RNP_LOAD_SAVE_SECRET_KEYS | RNP_LOAD_SAVE_PERMISSIVE, &results.text),
          "no OpenPGP keys");
    // The JSON names subkeys too; the primary ones are what people mean.
    std::vector<std::string> out;
    const std::string text = results.str(), mark = "\"fingerprint\":\"";
    for (size_t at = text.find(mark); at != std::string::npos; at = text.find(mark, at + 1)) {
        std::string id = text.substr(at + mark.size(), 40);
        std::transform(id.begin(), id.end(), id.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
        const Key key = impl_->find("fingerprint", id);
        if (key.handle && is_primary(key.handle)) out.push_back(id);
    }
    return out;
}

std::vector<KeyFacts> Keys::list(bool secret) const {
    std::vector<KeyFacts> out;
    impl_->each([&](rnp_key_handle_t key) {
        bool there = false;
        if (secret)
            rnp_key_have_secret(key, &there);
        else
            rnp_key_have_public(key, &there);
        if (there) out.push_back(facts_of(key));
    });
    return out;
}

std::optional<KeyFacts> Keys::find(std::string_view id) const {
    std::string wanted(id);
    std::transform(wanted.begin(), wanted.end(), wanted.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    std::optional<KeyFacts> found;
    if (wanted.size() != 40 && wanted.size() != 16 && wanted.size() != 8) return found;
    impl_->each([&](rnp_key_handle_t key) {
        KeyFacts f = facts_of(key);
        if (!f.fingerprint.ends_with(wanted)) return;
        if (found) throw Error(Code::invalid, "several keys end in " + wanted, "name the whole fingerprint");
        found = std::move(f);
    });
    return found;
}

std::string Keys::exported(const std::string& fingerprint, bool secret, bool armoured) const {
    const Key key = impl_->need(fingerprint);
    const Output out = memory_output();
    check(rnp_key_export(key.handle, out.handle,
                         (secret ? RNP_KEY_EXPORT_SECRET : RNP_KEY_EXPORT_PUBLIC) | RNP_KEY_EXPORT_SUBKEYS | (armoured ? RNP_KEY_EXPORT_ARMORED : 0)),
          "the key " + fingerprint);
    return bytes_of(out);
}

std::string Keys::ring(bool secret) const {
    const Output out = memory_output();
    check(rnp_save_keys(impl_->ffi, "GPG", out.handle, secret ? RNP_LOAD_SAVE_SECRET_KEYS : RNP_LOAD_SAVE_PUBLIC_KEYS), "the key ring", Code::internal);
    return bytes_of(out);
}

void Keys::remove(const std::string& fingerprint, bool secret) {
    const Key key = impl_->need(fingerprint);
    check(rnp_key_remove(key.handle, (secret ? RNP_KEY_REMOVE_SECRET : RNP_KEY_REMOVE_PUBLIC) | RNP_KEY_REMOVE_SUBKEYS), "the key " + fingerprint);
}

std::string Keys::generate(const std::string& user, const std::string& passphrase, unsigned bits) {
    Key key;
    check(rnp_generate_key_ex(impl_->ffi, "RSA", "RSA", bits, bits, nullptr, nullptr, user.c_str(), passphrase.empty() ? nullptr : passphrase.c_str(), &key.handle),
          "a key pair cannot be made");
    return facts_of(key.handle).fingerprint;
}

std::string Keys::clear_sign(std::string_view text, const std::string& fingerprint, const Passphrase& passphrase) {
    const Key key = impl_->need(fingerprint);
    const Input in = input_of(text);
    const Output out = memory_output();
    Handle<rnp_op_sign_t, rnp_op_sign_destroy> op;
    check(rnp_op_sign_cleartext_create(&op.handle, impl_->ffi, in.handle, out.handle), "signing", Code::internal);
    check(rnp_op_sign_set_hash(op.handle, RNP_ALGNAME_SHA256), "signing", Code::internal);
    check(rnp_op_sign_add_signature(op.handle, key.handle, nullptr), "the key " + fingerprint + " cannot sign");
    const Quiet quiet;
    impl_->ask = passphrase;
    impl_->failed = nullptr;
    const rnp_result_t rc = rnp_op_sign_execute(op.handle);
    impl_->ask = nullptr;
    if (impl_->failed) std::rethrow_exception(impl_->failed);
    check(rc, "signing by the key " + fingerprint);
    return bytes_of(out);
}

Keys::Verdict Keys::verify(std::string_view clear_signed) const {
    Verdict v;
    const Quiet quiet;
    const Input in = input_of(clear_signed);
    const Output out = memory_output();
    Handle<rnp_op_verify_t, rnp_op_verify_destroy> op;
    check(rnp_op_verify_create(&op.handle, impl_->ffi, in.handle, out.handle), "verifying", Code::internal);
    const rnp_result_t whole = rnp_op_verify_execute(op.handle);
    size_t count = 0;
    rnp_op_verify_get_signature_count(op.handle, &count);
    if (count != 1) {
        v.why = count == 0 ? std::string("no signature in it can be read (") + rnp_result_to_string(whole) + ")" : "more than one signature in one text";
        return v;
    }
    v.text = bytes_of(out);
    rnp_op_verify_signature_t signature = nullptr;
    check(rnp_op_verify_get_signature_at(op.handle, 0, &signature), "verifying", Code::internal);
    Text hash;
    rnp_op_verify_signature_get_hash(signature, &hash.text);
    v.hash = hash.str();
    uint32_t made = 0, lives = 0;
    rnp_op_verify_signature_get_times(signature, &made, &lives);
    v.made = made;
    Key key;
    if (rnp_op_verify_signature_get_key(signature, &key.handle) == RNP_SUCCESS && key.handle) {
        Text primary;
        if (rnp_key_get_primary_fprint(key.handle, &primary.text) != RNP_SUCCESS) rnp_key_get_fprint(key.handle, &primary.text);
        v.fingerprint = primary.str();
    }
    const rnp_result_t status = rnp_op_verify_signature_get_status(signature);
    if (status == RNP_SUCCESS) {
        v.state = Verdict::good;
    } else if (status == RNP_ERROR_KEY_NOT_FOUND) {
        v.state = Verdict::unknown_key;
    } else {
        v.why = status == RNP_ERROR_SIGNATURE_EXPIRED ? "the signature has expired" : rnp_result_to_string(status);
    }
    return v;
}

}  // namespace signing
