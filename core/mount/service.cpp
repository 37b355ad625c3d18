#include "mount/service.hpp"

#include <sys/mount.h>

#include "base/error.hpp"
#include "mount/detached.hpp"
#include "mount/shared.hpp"

namespace sg {

namespace {

int32_t prepare(const sg_root_v1* root_table, sg_root* root, const sg_mount_view* view, void** server, sg_error* err) {
    return singularity::guard(err, [&] { *server = DetachedServer::prepare(root_table, root, *view).release(); });
}

int32_t attach(void* server, const char* target, sg_error* err) {
    const std::unique_ptr<DetachedServer> owned(static_cast<DetachedServer*>(server));
    return singularity::guard(err, [&] {
        owned->mount(target);
        try {
            owned->serve();
        } catch (...) {
            umount2(target, MNT_DETACH);
            throw;
        }
    });
}

int32_t join(const sg_root_v1* root_table, sg_root* root, const sg_mount_view* view, const sg_mount_share* share,
             int32_t* mount, sg_error* err) {
    return singularity::guard(err, [&] { *mount = join_shared_mount(root_table, root, *view, *share).release(); });
}

}  // namespace

const sg_host_mount_v2* mount_service() {
    static const sg_host_mount_v2 table = {prepare, attach, join};
    return &table;
}

}  // namespace sg
