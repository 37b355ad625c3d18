// What a site allows and forbids: the keys policy.*. This decides by the configuration alone; source_policy.hpp
// (plugin) and image_policy.hpp (runtime) find out what a source or an image is and ask here.
//
// For each subject there are two lists, policy.SUBJECT.allow and policy.SUBJECT.deny. What a deny list names is
// forbidden; where the allow list names anything, all else is forbidden too.
//
//   sources     schemes: "docker"
//   registries  "HOST[:PORT][/NAMESPACE...]" and all below it; "*.example.org" is any host below that one
//   paths       absolute paths of images and all below; '*', '?' and '[...]' stand for parts of one name
//   signers     fingerprints of OpenPGP keys
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "config/settings.hpp"

namespace sg::policy {

// The rule that decides; `where` is the file and line, variable or option that it comes from.
struct Ruling {
    bool allowed;
    std::string key;   // "policy.sources.deny"
    std::string rule;  // the entry that decides; "" when it is that none of an allow list does
    std::string where;
};

// What was asked about and what decided; a subject that no rule speaks of has none.
struct Judgement {
    std::string what;  // "the source 'shub'", "the repository docker.io/library/alpine", "the image /a/b.sif"
    Ruling ruling;
};

// nullopt: no rule says anything about it, so it is allowed.
std::optional<Ruling> on_source(const Settings& settings, std::string_view scheme);
std::optional<Ruling> on_registry(const Settings& settings, std::string_view name);  // "HOST[:PORT]/NAMESPACE/NAME"
std::optional<Ruling> on_path(const Settings& settings, const std::string& path);    // absolute, without links
std::optional<Ruling> on_signers(const Settings& settings, const std::vector<std::string>& fingerprints);

bool has_rules_on(const Settings& settings, std::string_view subject);  // "registries"

// The failure for what `ruling` forbids; `what` as the user knows it: "the source 'shub'". Code::veto.
Error refusal(const std::string& what, const Ruling& ruling);

// A rule of policy.SUBJECT.* as it is compared. Throws Code::invalid.
std::string canonical_rule(std::string_view subject, const std::string& rule);

}  // namespace sg::policy
