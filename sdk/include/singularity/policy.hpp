// SPDX-License-Identifier: BSD-3-Clause
// policy.hpp: tell a host's policies what a source's or an image's names are, in C++ (contracts: policy.h). Name the
// class beside the source or command in SINGULARITY_PLUGIN. And ask who signed an image: signers_of.
#pragma once
#include <singularity/policy.h>

#include <singularity/bootstrap.hpp>

namespace singularity {

class NamedSource {
public:
    virtual ~NamedSource() = default;
    virtual std::string full_name(const SourceSpec& spec) = 0;  // "HOST[:PORT]/NAMESPACE/NAME"
};

struct ImageSigners {
    std::vector<std::string> fingerprints;
    std::vector<std::string> depends;  // files, and variables as "$NAME", that the answer depends on besides the image
};

class SignerSource {
public:
    virtual ~SignerSource() = default;
    virtual ImageSigners signers(const std::string& path, const Host& host) = 0;
};

// Fingerprints of those who signed all of the image file at `path`, by the keys of this machine; none: nobody did, or
// by signatures that are broken or of unknown keys. nullopt: no registered plugin can tell.
inline std::optional<std::vector<std::string>> signers_of(const std::string& path, const Host& host) {
    const auto* table = detail::host_table<sg_host_signers_v1>("signers");
    if (!table) return std::nullopt;
    std::vector<std::string> out;
    const sg_signers_sink sink{&out,
                               [](void* arg, const char* fingerprint) -> int32_t {
                                   static_cast<std::vector<std::string>*>(arg)->emplace_back(fingerprint);
                                   return SG_OK;
                               },
                               nullptr};
    try {
        check([&](sg_error* e) { return table->find(path.c_str(), host.call(), &sink, e); });
    } catch (const Error& e) {
        if (e.code() != Code::unsupported) throw;
        host.debug(e.message());
        return std::nullopt;
    }
    return out;
}

}  // namespace singularity

namespace singularity::detail {

template <class T>
requires std::is_base_of_v<NamedSource, T>
struct TableOf<T> {
    static const void* find(std::string_view table, uint32_t version) {
        static T object;
        static NamedSource& self = object;
        static const sg_full_name_v1 functions = {
            [](const sg_source_spec* spec, char* out, uint64_t capacity, sg_error* err) {
                return guard(err, [&] {
                    const std::string name = self.full_name(SourceSpec::from_c(*spec));
                    if (name.size() >= capacity) throw Error(Code::limit, "the full name of the image is too long");
                    std::memcpy(out, name.c_str(), name.size() + 1);
                });
            }};
        return table == "full_name" && version == 1 ? &functions : nullptr;
    }
};

template <class T>
requires std::is_base_of_v<SignerSource, T>
struct TableOf<T> {
    static const void* find(std::string_view table, uint32_t version) {
        static T object;
        static SignerSource& self = object;
        static const sg_signers_v1 functions = {
            [](const char* path, const sg_call* call, const sg_signers_sink* sink, sg_error* err) {
                return guard(err, [&]() -> int32_t {
                    const ImageSigners found = self.signers(path, Host(call));
                    for (const auto& file : found.depends)
                        if (const int32_t code = sink->depends(sink->arg, file.c_str()); code != SG_OK) return code;
                    for (const auto& print : found.fingerprints)
                        if (const int32_t code = sink->signer(sink->arg, print.c_str()); code != SG_OK) return code;
                    return SG_OK;
                });
            }};
        return table == "signers" && version == 1 ? &functions : nullptr;
    }
};

}  // namespace singularity::detail
