// What scripts of packages expect of a system while they are installed: /proc, and the devices that every program knows.
#pragma once
#include <string>
#include <vector>

namespace packages {

// Makes them in the root file system, as nodes or, in a user namespace, as mounts; and takes them away again, so that the image is the
// same whoever made it. Only in a mount namespace of one's own, as a recipe runs in. What cannot be made is left out.
class Places {
public:
    explicit Places(const std::string& rootfs, bool with_proc = true);
    Places(const Places&) = delete;
    Places& operator=(const Places&) = delete;
    ~Places();

private:
    void device(const std::string& path, unsigned minor);

    std::vector<std::string> mounts_, files_;
};

}  // namespace packages
