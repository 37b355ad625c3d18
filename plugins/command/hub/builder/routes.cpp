#include "hub/service.hpp"

namespace hub {

void add_builder_routes(Service&, Router&) {}

}  // namespace hub
