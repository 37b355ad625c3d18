#include <algorithm>
#include <map>

#include "signing/commands.hpp"
#include "signing/keyring.hpp"
#include "signing/verify.hpp"

namespace signing {

singularity::ImageSigners Signers::signers(const std::string& path, const Host& host) {
    singularity::ImageSigners out;
    const ForeignImage image(path, false);
    if (!image.has_parts()) return out;
    KeyRing ring = KeyRing::of_user();
    const std::string site_file = host.text("signing.global_ring").value_or("");
    KeyRing site = KeyRing::of_site(site_file);
    for (const char* name : directory_variables) out.depends.push_back(std::string("$") + name);
    out.depends.push_back("$HOME");
    out.depends.push_back(ring.directory() + "/pgp-public");
    out.depends.push_back(ring.directory() + "/pgp-secret");
    if (!site_file.empty()) out.depends.push_back(site_file);
    Trust trust;
    trust.keys = &ring.keys();
    trust.site_keys = &site.keys();
    std::vector<Signer> all;
    try {
        all = verify_image(image, {}, trust, host);
    } catch (const Error& e) {
        // Nobody signed each of its groups, or an object belongs to none.
        if (e.code() != Code::not_found && e.code() != Code::corrupt) throw;
        host.log(SG_VERBOSE, e.message());
        return out;
    }
    // Only whose signatures cover every object: what somebody else added to an image runs with it.
    std::set<uint64_t> objects;
    for (const auto& p : image.parts())
        if (p.type != "signature") objects.insert(p.id);
    std::map<std::string, std::set<uint64_t>> covered;
    for (const auto& s : all) {
        if (s.checked && !s.fingerprint.empty()) covered[s.fingerprint].insert(s.objects.begin(), s.objects.end());
        if (!s.checked) host.log(SG_VERBOSE, path + ": " + s.why);
    }
    for (const auto& [print, ids] : covered)
        if (std::includes(ids.begin(), ids.end(), objects.begin(), objects.end())) out.fingerprints.push_back(print);
    return out;
}

}  // namespace signing
