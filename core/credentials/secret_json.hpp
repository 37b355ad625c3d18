// JSON with secrets in it: every copy that the parser or writer makes is overwritten when it is freed.
#pragma once
#include <singularity/json.hpp>
#include <string>

#include "credentials/secret.hpp"

namespace sg {

using SecretPool = rapidjson::MemoryPoolAllocator<WipingJsonAllocator>;
using SecretDocument = rapidjson::GenericDocument<rapidjson::UTF8<>, SecretPool, WipingJsonAllocator>;
using SecretValue = SecretDocument::ValueType;

// `what` names it in messages, which quote nothing of it. Throws Code::corrupt or limit (4 MiB, 64 levels).
void parse_secret_json(SecretDocument& document, std::string_view text, const std::string& what);

// A member of an object; null when there is none or it is JSON's null. Throws Code::corrupt when it stands there twice.
const SecretValue* member(const SecretValue& object, std::string_view key, const std::string& what);
// The text of a member, "" when absent; it lives as long as the document. Throws Code::corrupt for another type.
std::string_view text_member(const SecretValue& object, std::string_view key, const std::string& what);

// As Docker writes it: indented by tabs.
Secret print_secret_json(const SecretValue& value);

inline std::string_view name_of(const SecretValue::Member& m) { return {m.name.GetString(), m.name.GetStringLength()}; }

}  // namespace sg
