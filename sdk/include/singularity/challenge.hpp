// SPDX-License-Identifier: BSD-3-Clause
// challenge.hpp: what a server wants to know from who may not enter (RFC 9110, section 11.6.1): WWW-Authenticate
// headers.
#pragma once
#include <cctype>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace singularity {

struct Challenge {
    std::string scheme;                                           // lower case: "basic", "bearer"
    std::vector<std::pair<std::string, std::string>> parameters;  // names in lower case

    // The first of that name, or "".
    std::string parameter(std::string_view name) const {
        for (const auto& [key, value] : parameters)
            if (key == name) return value;
        return {};
    }
};

namespace detail {

class ChallengeReader {
public:
    explicit ChallengeReader(std::string_view text) : text_(text) {}
    bool end() const { return at_ >= text_.size(); }
    char peek() const { return end() ? '\0' : text_[at_]; }
    void blanks() {
        while (!end() && (text_[at_] == ' ' || text_[at_] == '\t')) ++at_;
    }
    bool take(char c) {
        if (peek() != c || end()) return false;
        ++at_;
        return true;
    }
    std::string token() {
        const size_t begin = at_;
        while (!end() && is_token(text_[at_])) ++at_;
        return std::string(text_.substr(begin, at_ - begin));
    }
    // After the opening quote.
    std::optional<std::string> quoted() {
        std::string out;
        while (!end()) {
            char c = text_[at_++];
            if (c == '"') return out;
            if (c == '\\') {
                if (end()) return std::nullopt;
                c = text_[at_++];
            }
            out += c;
        }
        return std::nullopt;
    }
    // A value that servers leave unquoted though it is no token: to the next comma or blank.
    std::string bare() {
        const size_t begin = at_;
        while (!end() && text_[at_] != ',' && text_[at_] != ' ' && text_[at_] != '\t') ++at_;
        return std::string(text_.substr(begin, at_ - begin));
    }
    size_t position() const { return at_; }
    void back_to(size_t at) { at_ = at; }

private:
    static bool is_token(char c) {
        return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
               std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
    }
    std::string_view text_;
    size_t at_ = 0;
};

inline std::string lower_case(std::string text) {
    for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return text;
}

}  // namespace detail

// All challenges of one header, in its order; several headers are read one after another. What is malformed ends the
// reading: the challenges before it count. At most 16 challenges and 64 parameters each.
inline std::vector<Challenge> parse_challenges(std::string_view header) {
    constexpr size_t max_challenges = 16, max_parameters = 64;
    std::vector<Challenge> out;
    detail::ChallengeReader r(header);
    for (;;) {
        r.blanks();
        if (r.take(',')) continue;
        const size_t begin = r.position();
        const std::string word = r.token();
        if (word.empty()) return out;
        r.blanks();
        // "name =" belongs to the challenge that is being read, all else begins a new one.
        if (!r.take('=') || out.empty()) {
            if (out.size() >= max_challenges) return out;
            r.back_to(begin + word.size());
            if (!r.end() && r.peek() != ' ' && r.peek() != '\t' && r.peek() != ',') return out;
            out.push_back({detail::lower_case(word), {}});
            continue;
        }
        r.blanks();
        std::optional<std::string> value = r.take('"') ? r.quoted() : r.bare();
        if (!value || out.back().parameters.size() >= max_parameters) return out;
        out.back().parameters.emplace_back(detail::lower_case(word), *std::move(value));
    }
}

}  // namespace singularity
