#include "registries/challenge.hpp"

namespace registry_command {

namespace {

constexpr size_t max_challenges = 16, max_parameters = 64;

bool is_token_character(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("!#$%&'*+-.^_`|~/").find(c) != std::string_view::npos;
}

class Reader {
public:
    explicit Reader(std::string_view text) : text_(text) {}
    bool at_end() const { return at_ >= text_.size(); }
    char peek() const { return at_end() ? '\0' : text_[at_]; }
    void skip_blanks() {
        while (peek() == ' ' || peek() == '\t') ++at_;
    }
    void skip_separators() {
        while (peek() == ' ' || peek() == '\t' || peek() == ',') ++at_;
    }
    std::string name() {
        std::string out;
        while (!at_end() && is_token_character(peek())) out += text_[at_++];
        return out;
    }
    // Unquoted; some servers leave the quotes away where they are needed.
    std::string value() {
        std::string out;
        while (!at_end() && peek() != ',' && peek() != ' ' && peek() != '\t') out += text_[at_++];
        return out;
    }
    bool take(char c) {
        if (at_end() || text_[at_] != c) return false;
        ++at_;
        return true;
    }
    std::string quoted() {
        std::string out;
        while (!at_end() && peek() != '"') {
            if (peek() == '\\' && at_ + 1 < text_.size()) ++at_;
            out += text_[at_++];
        }
        take('"');
        return out;
    }

private:
    std::string_view text_;
    size_t at_ = 0;
};

std::string lower(std::string text) {
    for (char& c : text)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return text;
}

}  // namespace

std::string Challenge::parameter(std::string_view name) const {
    for (const auto& [key, value] : parameters)
        if (key == name) return value;
    return {};
}

std::vector<Challenge> read_challenges(std::string_view header) {
    std::vector<Challenge> out;
    Reader in(header);
    for (in.skip_separators(); !in.at_end(); in.skip_separators()) {
        const std::string word = in.name();
        if (word.empty()) break;
        in.skip_blanks();
        if (in.take('=')) {  // a parameter of the challenge before it
            in.skip_blanks();
            std::string value = in.take('"') ? in.quoted() : in.value();
            if (out.empty()) break;
            if (out.back().parameters.size() < max_parameters) out.back().parameters.emplace_back(lower(word), std::move(value));
            continue;
        }
        if (out.size() == max_challenges) break;
        out.push_back({lower(word), {}});
    }
    return out;
}

}  // namespace registry_command
