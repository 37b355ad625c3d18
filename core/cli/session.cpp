// Session::fetch, in the executable.
#include "cli/module_client.hpp"

namespace sg {

std::string Session::fetch(const std::string& uri, const Pairs& source_options) {
    if (!context) throw Error(Code::internal, "a session without a command cannot fetch");
    return fetch_in_child(*context, uri, source_options);
}

}  // namespace sg
