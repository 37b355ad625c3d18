#include "hub/service.hpp"

namespace hub {

void add_web_routes(Service&, Router&) {}

}  // namespace hub
