// Rights of the container's process (runtime fact sheet, section 7).
#pragma once
#include "spec.hpp"

namespace native {

// no_new_privs and empty capability sets, as the spec says; root keeps what the machine gives it.
void limit_privileges(const Spec& spec);

}  // namespace native
