// The definition of a build, out of what a client sent.
#pragma once
#include <singularity/json.hpp>
#include <string>

namespace hub {

// Of `definitionRaw` (base64, since 3.4) or of the object `definition`, whose `fullraw` or `raw` is used when it is
// there; older ones (3.0 to 3.3) hold only values, of which the text is made again. At most 1 MiB. Throws HttpError 400
// or 413.
std::string definition_text(const singularity::json::Value& request);

// Standard base64 with or without padding; throws HttpError 400.
std::string base64_decoded(const std::string& text, const std::string& what);

}  // namespace hub
