// A blob that is fetched, and fetched on when the connection breaks (RFC 9110, section 14, "Range Requests").
#pragma once
#include "registry/http.hpp"
#include "registry/retry.hpp"

namespace registry {

// Asks for the blob from byte `offset` on; the answer has status 200 or 206. Throws for any other.
using OpenBlob = std::function<Answer(uint64_t offset)>;

// The bytes from `offset` to `size`, no more (Code::corrupt) and no fewer. The digest is for who reads it to check. A
// connection that breaks is opened again where it was, as often as it gets on, else twice. `what` names the blob in
// messages. `first`: the answer from `offset` on, which has come already.
std::unique_ptr<Stream> stream_blob(OpenBlob open, Answer first, std::string what, uint64_t offset, uint64_t size,
                                    const Host& host, Clock& clock);

}  // namespace registry
