// Bearer tokens of the Docker token specification (distribution, docs/spec/auth/token.md and oauth.md).
#pragma once
#include <singularity/error.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace registry {

struct Token {
    std::string text;
    double seconds = 60;  // that it is good for, from when it came
};

// The answer of a token server: "token" or "access_token"; "expires_in" is 60 when it is absent, nonsense or less.
// Throws Code::corrupt or invalid; the text of the token is in no message.
Token parse_token(std::string_view body, const std::string& where);

// "repository:NAME:pull"
std::string repository_scope(const std::string& name, std::string_view actions);
// The scopes in a challenge's "scope", which are separated by blanks.
std::vector<std::string> split_scopes(std::string_view text);

// "Basic ..." for a user and a password.
std::string basic_authorization(std::string_view user, std::string_view password);

}  // namespace registry
