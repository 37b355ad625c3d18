#include "mount/service.hpp"

#include "base/error.hpp"
#include "mount/detached.hpp"

namespace sg {

const sg_host_mount_v1* mount_service() {
    static const sg_host_mount_v1 table = {
        [](const sg_root_v1* root_table, sg_root* root, const sg_mount_view* view, void** server, sg_error* err) {
            return singularity::guard(err,
                                      [&] { *server = DetachedServer::prepare(root_table, root, *view).release(); });
        },
        [](void* server, const char* target, sg_error* err) {
            const std::unique_ptr<DetachedServer> owned(static_cast<DetachedServer*>(server));
            return singularity::guard(err, [&] { owned->attach(target); });
        }};
    return &table;
}

}  // namespace sg
