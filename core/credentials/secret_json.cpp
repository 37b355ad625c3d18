#include "credentials/secret_json.hpp"

#include <rapidjson/prettywriter.h>

#include "base/error.hpp"

namespace sg {

namespace json = singularity::json;

void parse_secret_json(SecretDocument& document, std::string_view text, const std::string& what) {
    if (text.size() > json::max_bytes)
        throw Error(Code::limit, what + " is larger than the limit of " + std::to_string(json::max_bytes) + " bytes");
    json::check_depth(text, what);
    document.Parse<rapidjson::kParseIterativeFlag | rapidjson::kParseValidateEncodingFlag>(text.data(), text.size());
    if (document.HasParseError())
        throw Error(Code::corrupt, what + " is not JSON: " + rapidjson::GetParseError_En(document.GetParseError()) + " (at byte " +
                                       std::to_string(document.GetErrorOffset()) + ")");
    if (!document.IsObject()) throw Error(Code::corrupt, what + " is no JSON object");
}

const SecretValue* member(const SecretValue& object, std::string_view key, const std::string& what) {
    const SecretValue* found = nullptr;
    for (const auto& m : object.GetObject()) {
        if (name_of(m) != key) continue;
        if (found) throw Error(Code::corrupt, what + " has the key \"" + std::string(key) + "\" twice");
        found = &m.value;
    }
    return found && found->IsNull() ? nullptr : found;
}

std::string_view text_member(const SecretValue& object, std::string_view key, const std::string& what) {
    const SecretValue* value = member(object, key, what);
    if (!value) return {};
    if (!value->IsString()) throw Error(Code::corrupt, what + ": \"" + std::string(key) + "\" is not a string");
    return {value->GetString(), value->GetStringLength()};
}

Secret print_secret_json(const SecretValue& value) {
    using Buffer = rapidjson::GenericStringBuffer<rapidjson::UTF8<>, WipingJsonAllocator>;
    Buffer buffer;
    rapidjson::PrettyWriter<Buffer> writer(buffer);
    writer.SetIndent('\t', 1);
    value.Accept(writer);  // recursive, but no deeper than what was read
    Secret out(std::string_view(buffer.GetString(), buffer.GetSize()));
    out.push('\n');
    return out;
}

}  // namespace sg
