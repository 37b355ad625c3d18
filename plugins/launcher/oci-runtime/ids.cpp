#include "ids.hpp"

namespace oci_runtime {
namespace {

bool one_id(const launcher::Spec& spec) {
    return spec.uids.size() == 1 && spec.gids.size() == 1 && spec.uids[0].size == 1 && spec.gids[0].size == 1;
}

}  // namespace

bool user_applies(const launcher::Spec& spec, uint32_t caller) {
    return spec.process_uid == caller && (!spec.user || (one_id(spec) && caller != 0));
}

Ids choose_ids(const launcher::Spec& spec, const ImageUser* user, bool crun) {
    Ids out;
    const uint32_t uid = user ? user->uid : spec.process_uid, gid = user ? user->gid : spec.process_gid;
    out.uid = uid, out.gid = gid;
    if (!spec.user) {
        out.groups = user ? user->groups : spec.process_groups;
        return out;
    }
    if (!one_id(spec)) {  // it has a 0 of its own
        out.outer_uids = spec.uids, out.outer_gids = spec.gids;
        return out;
    }
    out.outer_uids = {{0, spec.uids[0].host, 1}};
    out.outer_gids = {{0, spec.gids[0].host, 1}};
    if (uid == 0 && gid == 0) return out;
    out.inner_uids = {{uid, 0, 1}};
    out.inner_gids = {{gid, 0, 1}};
    out.inner_by_program = !crun;
    if (out.inner_by_program) out.uid = out.gid = 0;
    return out;
}

}  // namespace oci_runtime
