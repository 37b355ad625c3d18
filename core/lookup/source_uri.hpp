// What stands on a command line where an image is due: `scheme://rest`, `scheme:rest` or a path
// (docs/user/docker-and-oci.md).
#pragma once
#include <functional>
#include <string>
#include <string_view>

namespace sg {

struct SourceUri {
    std::string scheme;     // lower case; "" = a plain path
    std::string reference;  // what follows the scheme, or the path
};

// Splits by form alone: a scheme is a letter and then letters, digits, '+', '-', '.' before a colon.
SourceUri split_uri(std::string_view text);

// Decides what the user means. `text` is a path when it has no scheme's form, or when its scheme is not
// registered but a file of that name exists ("strange:name.img"). A scheme that is not registered stays as it is,
// for the registry to refuse it by name.
SourceUri read_uri(std::string_view text, const std::function<bool(std::string_view)>& registered);

// A URI, or what follows its scheme, without the user and password that may stand before a host
// ("https://USER:PASSWORD@HOST/x"): for labels, records and whatever others may read. The digest or number of an image
// behind an '@' is no host and stays.
std::string without_secret(std::string_view text);
// The same for messages and logs: also without what follows a '?', where tokens stand.
std::string shown_uri(std::string_view text);

}  // namespace sg
