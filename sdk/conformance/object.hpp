// What an object file says before it is loaded.
#pragma once
#include <string>
#include <vector>

namespace conformance {

struct ObjectFile {
    std::string defect;                 // why it is no shared object of this machine; "" when it is
    std::vector<std::string> exported;  // symbols that others could take
    std::vector<std::string> needed;    // libraries
    bool unique = false;                // has symbols of which a process holds one alone (GNU unique)

    static ObjectFile read(const std::string& path);
    // The library of a sanitizer that it was built with ("libasan.so.8"), or "".
    std::string sanitizer() const;
};

}  // namespace conformance
