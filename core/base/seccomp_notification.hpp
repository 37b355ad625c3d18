// Whether system calls of a container can be answered by another process (seccomp_unotify(2)).
#pragma once
#include <string>

namespace sg {

// Why not, as half a sentence that names who can change it; "" = they can.
std::string no_seccomp_notification();

}  // namespace sg
