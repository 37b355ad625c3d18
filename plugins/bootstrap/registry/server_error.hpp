// What a registry says when it refuses (distribution-spec, "Error Codes"), as Go clients print it.
#pragma once
#include <string>
#include <string_view>

namespace registry {

// The answer's body as text: "denied: requested access to the resource is denied" for one error; "errors:" and a line
// for each when there are several; the body's first line when it is plain text; "... HTTP status 403 (Forbidden)" when
// there is nothing that a person could read. `also`: what the headers say, before the rest.
std::string error_text(unsigned status, std::string_view body, const std::string& also = {});

// What a WWW-Authenticate header's challenges say is wrong (RFC 6750, section 3.1), "" when they say nothing:
// "denied: requested access to the resource is denied".
std::string challenge_error(std::string_view header);

// "404 (Not Found)".
std::string status_text(unsigned status);

}  // namespace registry
