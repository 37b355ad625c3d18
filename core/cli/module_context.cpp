#include "cli/module_context.hpp"

#include "base/log.hpp"
#if SG_HAVE_CREDENTIALS
#include "credentials/service.hpp"
#endif

namespace sg {

Context context_of(const sg_module_context& c) {
    if (c.abi != SG_MODULE_ABI)
        throw Error(Code::unsupported, "the internal module and the program are of different versions",
                    "Install singularity again.");
    Context context;
    context.installation = Installation::at(c.executable);
    // The bytes are the executable's, for the whole process; they were checked there, and are again.
    context.index = Index::over({static_cast<const uint8_t*>(c.index), static_cast<size_t>(c.index_size)}, nullptr);
    context.mount = c.mount;
    context.module = true;
    context.global.json = c.json != 0;
    context.global.plain = c.colour == 0;
    for (const char* const* s = c.settings; s && *s; ++s) context.global.settings.emplace_back(*s);
    log::set_threshold(static_cast<log::Level>(c.log_threshold));
    log::set_colour(c.colour != 0);
    return context;
}

Pairs pairs_of(const sg_pair* pairs) {
    Pairs out;
    for (const sg_pair* p = pairs; p && p->key; ++p) out.emplace_back(p->key, p->value);
    return out;
}

std::vector<std::string> credential_helpers(const Context& context) { return settings_for(context, true).list("credentials.helpers"); }

std::function<const sg_host_credentials_v2&()> credentials_of(const Context& context, const CancelToken& cancel) {
#if SG_HAVE_CREDENTIALS
    return [&context, &cancel]() -> const sg_host_credentials_v2& { return credentials_table(cancel.fd(), credential_helpers(context)); };
#else
    (void)context, (void)cancel;
    return {};
#endif
}

}  // namespace sg
