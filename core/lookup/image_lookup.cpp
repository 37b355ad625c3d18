#include "lookup/image_lookup.hpp"

#include <cstdlib>
#include <utility>

#include "base/error.hpp"
#include "base/log.hpp"
#include "base/timed_call.hpp"
#include "lookup/announce.hpp"
#include "lookup/source_uri.hpp"
#include "store/records.hpp"

namespace sg {

std::string take_option(Pairs& options, std::string_view name) {
    std::string value;
    for (auto it = options.begin(); it != options.end();) {
        if (it->first == name) {
            value = it->second;
            it = options.erase(it);
        } else {
            ++it;
        }
    }
    return value;
}

ImageLookup::ImageLookup(PluginHost& plugins, const SourceRequest& request, std::string shown)
    : plugins_(plugins),
      request_(request),
      shown_(shown_uri(shown)),
      settings_(plugins.settings()),
      places_(cache_places(settings_)),
      cache_(places_.own, places_.shared),
      known_(places_.own, places_.shared),
      remote_(plugins.index().find(CapabilityKind::bootstrap, request.scheme)->remote) {}

std::string ImageLookup::reference_text() const {
    return request_.scheme + "\n" + request_.reference + "\n" + request_.arch + "\n" + request_.variant;
}

SourceIdentity ImageLookup::identify(const sg_call* call, std::chrono::seconds patience) {
    const SourceIdentity id = asked(call, patience);
    announce(plugins_, "resolved", request_, id.key);
    return id;
}

bool ImageLookup::is_first() {
    return remote_ && cache_.enabled() && !settings_.boolean("fetch.offline") && !last_known();
}

std::string ImageLookup::lease_name() const { return Records::name_of("reference-", with_options(reference_text())); }

std::optional<SourceIdentity> ImageLookup::answer_of_another() {
    const auto id = last_known();
    if (id) announce(plugins_, "resolved", request_, id->key);
    return id;
}

SourceIdentity ImageLookup::asked(const sg_call* call, std::chrono::seconds patience) {
    const sg_bootstrap_v1& source = plugins_.bootstrap(request_.scheme);
    if (remote_ && settings_.boolean("fetch.offline")) {
        if (auto id = last_known()) return *id;
        throw Error(Code::not_found, "no image of " + shown_ + " is in the cache, and no server may be asked (offline)",
                    "Run it once without --offline.");
    }
    std::optional<TimedCall> timed;
    if (remote_ && patience.count() > 0 && last_known()) timed.emplace(*call, patience);
    try {
        SourceIdentity id = resolve_source(source, request_, timed ? timed->call() : call);
        if (remote_ && cache_.enabled() && has_place(id))
            known_.remember(reference_text(), {id.key, id.name, id.cache_area});
        return id;
    } catch (const Error& e) {
        const bool late = timed && timed->over() && e.code() == Code::cancelled;
        // A server that has had enough of us (429) is as good as none.
        const bool cannot_say =
            late || e.code() == Code::network || e.code() == Code::timeout || e.code() == Code::limit;
        if (!remote_ || !cannot_say) throw;
        auto id = last_known();
        if (!id) throw;
        const std::string why =
            late ? shown_ + ": no answer within " + std::to_string(patience.count()) + " seconds" : e.message();
        log::warning("the image from the cache is used, which may not be the newest: " + why);
        return *id;
    }
}

// The newest image of this reference that the cache has.
std::optional<SourceIdentity> ImageLookup::last_known() {
    for (const auto& id : known_.last(reference_text())) {
        SourceIdentity out{id.key, id.name, id.area};
        if (find(out)) return out;
    }
    return std::nullopt;
}

std::optional<std::string> ImageLookup::find(const SourceIdentity& id) {
    if (!has_place(id)) return std::nullopt;
    return cache_.find(id.cache_area, with_options(known_.image_key(id.key)), file_name(id));
}

std::string ImageLookup::with_options(const std::string& key) const {
    std::string more;
    if (const std::string compress = settings_.text("build.compress"); !compress.empty())
        more += "+compress=" + compress;
    if (const char* epoch = std::getenv("SOURCE_DATE_EPOCH"); epoch && *epoch) more += std::string("+epoch=") + epoch;
    return key + more;
}

}  // namespace sg
