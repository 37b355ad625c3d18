// The entries of the internal module: see module.h.
#include "cli/module.h"

#include <cstring>

#include "base/log.hpp"
#include "cli/dispatch.hpp"
#include "cli/module_context.hpp"
#include "cli/table.hpp"
#if SG_HAVE_CREDENTIALS
#include "credentials/service.hpp"
#endif
#if SG_HAVE_DEFINITIONS
#include "cli/definition_service.hpp"
#endif
#if SG_HAVE_FETCH
#include "build/cached_image.hpp"
#include "build/unpacked_image.hpp"
#include "image/file_digest.hpp"
#include "lookup/state_service.hpp"
#include "rootfs/small_archive.hpp"
#endif

namespace sg {

std::function<const sg_host_definition_v1&()> definitions_of([[maybe_unused]] const Context& context) {
#if SG_HAVE_DEFINITIONS
    return [&context]() -> const sg_host_definition_v1& { return definition_table(context.index); };
#else
    return {};
#endif
}

std::function<const sg_host_state_v1*()> state_of(const Context&, [[maybe_unused]] const Settings& settings) {
#if SG_HAVE_FETCH
    return [&settings] { return &state_table(settings); };
#else
    return {};
#endif
}

}  // namespace sg

extern "C" const sg_host_state_v1* sg_module_state([[maybe_unused]] const sg_module_context* c) {
    using namespace sg;
#if SG_HAVE_FETCH
    try {
        return &state_table(settings_for(context_of(*c), true));
    } catch (const std::exception&) {
        return nullptr;
    }
#else
    return nullptr;
#endif
}

extern "C" const sg_host_definition_v1* sg_module_definitions([[maybe_unused]] const sg_module_context* c) {
    using namespace sg;
#if SG_HAVE_DEFINITIONS
    try {
        return &definition_table(context_of(*c).index);
    } catch (const std::exception&) {
        return nullptr;
    }
#else
    return nullptr;
#endif
}

extern "C" const sg_host_credentials_v2* sg_module_credentials(const sg_module_context* c, int32_t cancel_fd) {
    using namespace sg;
    if (c->abi != SG_MODULE_ABI) return nullptr;
    log::set_threshold(static_cast<log::Level>(c->log_threshold));
    log::set_colour(c->colour != 0);
#if SG_HAVE_CREDENTIALS
    try {
        return &credentials_table(cancel_fd, credential_helpers(context_of(*c)));
    } catch (const std::exception&) {
        return nullptr;
    }
#else
    (void)cancel_fd;
    return nullptr;
#endif
}

extern "C" int32_t sg_module_main(int argc, char** argv, const sg_module_context* c) {
    using namespace sg;
    try {
        Context context = context_of(*c);
        const VerbRow* row = find_verb(argv[0]);
        if (!row || !row->verb) throw Error(Code::internal, std::string("the module has no verb '") + argv[0] + "'");
        try {
            return dispatch_verb(*row->verb, std::vector<std::string>(argv + 1, argv + argc), context);
        } catch (const Error& e) {
            throw with_site_words(e, context);
        }
    } catch (const Error& e) {
        return report(e);
    } catch (const std::bad_alloc&) {
        return report(Error(Code::limit, "out of memory"));
    } catch (const std::exception& e) {
        return report(Error(Code::internal, std::string("a defect in this program: ") + e.what()));
    }
}

extern "C" int32_t sg_module_fetch(const sg_module_context* c, const char* uri, const sg_pair* options,
                                   const sg_identity* known, char* path_out, uint64_t capacity, int32_t* temporary,
                                   sg_error* err) {
    using namespace sg;
    return singularity::guard(err, [&] {
        Context context = context_of(*c);
#if SG_HAVE_FETCH
        const SourceIdentity id = known ? SourceIdentity{known->key, known->name, known->cache_area} : SourceIdentity{};
        const RunnableImage image = with_plugins(context, [&](PluginHost& plugins, const sg_call* call) {
            return cached_image(plugins, uri, pairs_of(options), call, known ? &id : nullptr);
        });
        if (image.path.size() >= capacity) throw Error(Code::limit, "the path of the image is too long: " + image.path);
        std::memcpy(path_out, image.path.c_str(), image.path.size() + 1);
        *temporary = image.temporary ? 1 : 0;
#else
        (void)options, (void)known, (void)path_out, (void)capacity, (void)temporary;
        throw Error(Code::unsupported, std::string("this build cannot fetch ") + uri);
#endif
    });
}

extern "C" int32_t sg_module_unpack(const sg_module_context* c, const char* image, char* path_out, uint64_t capacity,
                                    sg_error* err) {
    using namespace sg;
    return singularity::guard(err, [&] {
        Context context = context_of(*c);
#if SG_HAVE_FETCH
        const std::string path = with_plugins(
            context, [&](PluginHost& plugins, const sg_call* call) { return unpacked_image(plugins, image, call); });
        if (path.size() >= capacity) throw Error(Code::limit, "the path of the unpacked image is too long: " + path);
        std::memcpy(path_out, path.c_str(), path.size() + 1);
#else
        (void)path_out, (void)capacity;
        throw Error(Code::unsupported, std::string("this build cannot unpack ") + image);
#endif
    });
}

extern "C" int32_t sg_module_digest(const char* file, char* digest_out, uint64_t capacity, sg_error* err) {
    using namespace sg;
    return singularity::guard(err, [&] {
#if SG_HAVE_FETCH
        const std::string digest = file_digest(file, nullptr);
        if (digest.size() >= capacity)
            throw Error(Code::internal, "a digest of " + std::to_string(digest.size()) + " characters");
        std::memcpy(digest_out, digest.c_str(), digest.size() + 1);
#else
        (void)digest_out, (void)capacity;
        throw Error(Code::unsupported, std::string("this build cannot read the digest of ") + file);
#endif
    });
}

extern "C" int32_t sg_module_unpack_plugin(const char* archive, const char* into, sg_error* err) {
    return singularity::guard(err, [&] {
#if SG_HAVE_FETCH
        sg::unpack_small_archive(archive, into);
#else
        throw sg::Error(sg::Code::unsupported, std::string("this build cannot unpack ") + archive + " into " + into);
#endif
    });
}
