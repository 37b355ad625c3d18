#include "cli/foreseen.hpp"

#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <singularity/json.hpp>
#include <singularity/stream.hpp>

#include "lookup/request.hpp"
#include "lookup/source_uri.hpp"
#include "plugin/source_policy.hpp"
#include "runtime/image_policy.hpp"

namespace sg {

namespace {

class Foreseen {
public:
    Foreseen(PluginHost& plugins, const Definitions& definitions, const Pairs& options, const sg_call& call)
        : plugins_(plugins), definitions_(definitions), options_(options), index_(plugins.index()), call_(call) {}

    std::vector<Judged> judge(const std::string& text) {
        const SourceUri uri =
            read_uri(text, [&](std::string_view s) { return index_.find(CapabilityKind::bootstrap, s).has_value(); });
        if (!uri.scheme.empty()) {
            if (!index_.find(CapabilityKind::bootstrap, uri.scheme)) throw plugins_.unknown_scheme(uri.scheme);
            source(request_of(uri.scheme, uri.reference), "");
        } else if (::access(text.c_str(), F_OK) != 0) {
            throw system_error(errno, "cannot open", text);
        } else if (is_image(text)) {
            image(text, "");
            as_base(text);
        } else {
            definition(text);
        }
        return std::move(out_);
    }

private:
    SourceRequest request_of(const std::string& scheme, const std::string& reference) const {
        SourceRequest r;
        r.scheme = scheme;
        r.reference = reference;
        r.options = options_;
        return r;
    }

    bool is_image(const std::string& path) {
        try {
            plugins_.open_image(path);
            return true;
        } catch (const Error& e) {
            if (e.code() != Code::invalid) throw;
            return false;
        }
    }

    bool reads_paths(const std::string& scheme) const {
        const auto c = index_.find(CapabilityKind::bootstrap, scheme);
        return c && c->plain_paths;
    }

    void add(std::vector<policy::Judgement> judgements, const std::string& place) {
        for (auto& j : judgements) out_.push_back({place, std::move(j)});
    }

    void source(const SourceRequest& r, const std::string& place) {
        add(judge_source(plugins_, SourceSpec(r).c), place);
        if (reads_paths(r.scheme) && ::access(r.reference.c_str(), F_OK) == 0) image(r.reference, place);
    }

    void image(const std::string& path, const std::string& place) {
        add(runtime::image_policy(plugins_, {path}, &call_).rulings, place);
    }

    // An image may be run and yet not be what others are built on.
    void as_base(const std::string& path) {
        for (const auto& c : index_.capabilities(CapabilityKind::bootstrap)) {
            if (!c.plain_paths) continue;
            for (auto& j : judge_source(plugins_, SourceSpec(request_of(std::string(c.name), path)).c))
                if (!j.ruling.allowed) out_.push_back({"", std::move(j), true});
        }
    }

    void definition(const std::string& file) {
        std::vector<sg_pair> given;
        for (const auto& [k, v] : options_) given.push_back({k.c_str(), v.c_str()});
        given.push_back({nullptr, nullptr});
        sg_slice bytes{};
        singularity::check([&](sg_error* e) { return definitions_().read(file.c_str(), given.data(), &bytes, e); });
        const singularity::Slice held(bytes);
        const singularity::json::Document document(std::string(reinterpret_cast<const char*>(held.data()), held.size()),
                                                   file, 64 << 20);
        for (const auto& stage : document.root()["stages"].list()) {
            std::string line;
            SourceRequest r = request_of(stage["bootstrap"].text_or(), stage["from"].text_or());
            for (const auto& key : stage["header"].list()) {
                const std::string name = key["key"].text(), value = key["value"].text();
                if (name == "bootstrap")
                    line = std::to_string(key["line"].integer());
                else if (name != "from" && name != "stage")
                    r.options.emplace_back(name, value);
            }
            std::transform(r.scheme.begin(), r.scheme.end(), r.scheme.begin(),
                           [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
            source(r, file + ":" + line + ": ");
        }
    }

    PluginHost& plugins_;
    const Definitions& definitions_;
    const Pairs& options_;
    const Index& index_;
    const sg_call call_;
    std::vector<Judged> out_;
};

}  // namespace

std::vector<Judged> foresee(PluginHost& plugins, const Definitions& definitions, const Pairs& options,
                            const std::string& typed, const sg_call& call) {
    return Foreseen(plugins, definitions, options, call).judge(typed);
}

void permit_takeover(PluginHost& plugins, const Definitions& definitions, const Pairs& options,
                     const std::string& source, const sg_call& call) {
    const char* const subjects[] = {"sources", "registries", "paths", "signers"};
    if (std::none_of(std::begin(subjects), std::end(subjects),
                     [&](const char* s) { return policy::has_rules_on(plugins.settings(), s); }))
        return;
    // What is not here, or is a scheme of its builder's, is for whoever takes over to refuse.
    const SourceUri uri = read_uri(
        source, [&](std::string_view s) { return plugins.index().find(CapabilityKind::bootstrap, s).has_value(); });
    if (uri.scheme.empty() ? ::access(source.c_str(), F_OK) != 0
                           : !plugins.index().find(CapabilityKind::bootstrap, uri.scheme))
        return;
    for (const auto& j : foresee(plugins, definitions, options, source, call)) {
        if (j.of.ruling.allowed) continue;
        const Error e = policy::refusal(j.of.what, j.of.ruling);
        throw Error(e.code(), j.place + e.message(), e.hint());
    }
}

}  // namespace sg
