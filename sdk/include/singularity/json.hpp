// SPDX-License-Identifier: BSD-3-Clause
// json.hpp: reading JSON that nobody vouches for. Needs RapidJSON's headers (as only this header does).
//
//     json::Document doc(text, "index.json of DIR");
//     for (json::Value m : doc.root()["manifests"].list()) use(m["digest"].text());
//
// Bounded in bytes and depth before anything is built, parsed without recursion. A wrong type, a missing
// or a doubled key is an Error that names the document and the place ("layers[2].size"). JSON null counts
// as absent, as Go programs, which write these documents, have it. Texts with a NUL inside are refused:
// they would be cut at the C boundary.
#pragma once
#include <cstdint>
#include <singularity/error.hpp>
#include <singularity/printable.hpp>
#include <vector>

// RapidJSON 1.1 adds to a null pointer while its stack is empty, which does no harm but stops a sanitizer's run.
#if defined(__clang__)
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wignored-attributes"
#pragma clang attribute push(__attribute__((no_sanitize("pointer-overflow"))), apply_to = function)
#endif
#include <rapidjson/document.h>
#include <rapidjson/error/en.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>
#if defined(__clang__)
#pragma clang attribute pop
#pragma clang diagnostic pop
#endif

namespace singularity::json {

inline constexpr uint64_t max_bytes = 4 << 20;  // what containers/image allows a manifest or config
inline constexpr unsigned max_depth = 64;

// Foreign text for a message: at most `limit` bytes, none of which steers a terminal.
inline std::string printable(std::string_view text, size_t limit = 160) {
    if (text.size() <= limit) return singularity::printable(text);
    while (limit > 0 && (static_cast<unsigned char>(text[limit]) & 0xc0) == 0x80) --limit;  // no part of a character
    return singularity::printable(text.substr(0, limit)) + "...";
}

// Refuses text that is nested deeper than max_depth, before anything is built of it. Throws Code::limit.
inline void check_depth(std::string_view text, const std::string& what) {
    unsigned depth = 0;
    bool inside = false;
    for (size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (inside) {
            if (c == '\\') ++i;
            if (c == '"') inside = false;
        } else if (c == '"') {
            inside = true;
        } else if (c == '[' || c == '{') {
            if (++depth > max_depth)
                throw Error(Code::limit, what + " is nested deeper than " + std::to_string(max_depth) + " levels");
        } else if ((c == ']' || c == '}') && depth > 0) {
            --depth;
        }
    }
}

class Document;

// A view of one value; lives as long as its Document.
class Value {
public:
    bool present() const { return value_ && !value_->IsNull(); }
    bool is_text() const { return value_ && value_->IsString(); }
    bool is_list() const { return value_ && value_->IsArray(); }
    bool is_object() const { return value_ && value_->IsObject(); }

    // A member, absent if there is none; of an absent value: absent. `key` is a literal: it is kept for messages.
    Value operator[](const char* key) const {
        if (!present()) return Value(*document_, nullptr, value_ ? value_ : parent_, key);
        if (!value_->IsObject()) fail("is not an object");
        const std::string_view wanted(key);
        const rapidjson::Value* found = nullptr;
        for (const auto& m : value_->GetObject()) {
            if (std::string_view(m.name.GetString(), m.name.GetStringLength()) != wanted) continue;
            if (found) fail("has the key \"" + std::string(wanted) + "\" twice");
            found = &m.value;
        }
        return Value(*document_, found, value_, key);
    }
    std::string text() const {
        if (!is_text()) fail(present() ? "is not a string" : "is missing");
        const std::string_view t(value_->GetString(), value_->GetStringLength());
        if (t.find('\0') != std::string_view::npos) fail("holds a NUL character");
        return std::string(t);
    }
    std::string text_or(std::string_view otherwise = {}) const { return present() ? text() : std::string(otherwise); }
    int64_t integer() const {
        if (!value_ || !value_->IsInt64()) fail(present() ? "is not a whole number in range" : "is missing");
        return value_->GetInt64();
    }
    int64_t integer_or(int64_t otherwise) const { return present() ? integer() : otherwise; }
    // A number of bytes.
    uint64_t size() const {
        const int64_t n = integer();
        if (n < 0) fail("is negative");
        return static_cast<uint64_t>(n);
    }
    bool boolean_or(bool otherwise) const {
        if (!present()) return otherwise;
        if (!value_->IsBool()) fail("is neither true nor false");
        return value_->GetBool();
    }
    // Elements; none when absent.
    std::vector<Value> list() const {
        std::vector<Value> out;
        if (!present()) return out;
        if (!value_->IsArray()) fail("is not a list");
        out.reserve(value_->Size());
        for (const auto& e : value_->GetArray()) out.push_back(Value(*document_, &e));
        return out;
    }
    std::vector<std::string> texts() const {
        std::vector<std::string> out;
        for (const Value& v : list()) out.push_back(v.text());
        return out;
    }
    // Members in the order of the document; none when absent.
    std::vector<std::pair<std::string, Value>> members() const {
        std::vector<std::pair<std::string, Value>> out;
        if (!present()) return out;
        if (!value_->IsObject()) fail("is not an object");
        out.reserve(value_->MemberCount());
        for (const auto& m : value_->GetObject()) {
            const std::string_view name(m.name.GetString(), m.name.GetStringLength());
            if (name.find('\0') != std::string_view::npos) fail("has a key that holds a NUL character");
            out.emplace_back(name, Value(*document_, &m.value));
        }
        return out;
    }
    // The value as compact JSON; "" when absent.
    std::string dump() const {
        if (!value_) return {};
        rapidjson::StringBuffer buffer;
        rapidjson::Writer<rapidjson::StringBuffer> writer(buffer);
        value_->Accept(writer);  // recursive, but no deeper than max_depth
        return std::string(buffer.GetString(), buffer.GetSize());
    }
    // Throws Code::invalid: "DOCUMENT: PLACE problem".
    [[noreturn]] void fail(const std::string& problem) const;

private:
    friend class Document;
    Value(const Document& document, const rapidjson::Value* value, const rapidjson::Value* parent = nullptr,
          const char* key = "")
        : document_(&document), value_(value), parent_(parent), key_(key) {}
    const Document* document_;
    const rapidjson::Value* value_;   // null: absent
    const rapidjson::Value* parent_;  // with key_: what is absent, for messages
    const char* key_;
};

class Document {
public:
    // `what` names the document in messages. Throws Code::limit or Code::corrupt.
    Document(std::string_view text, std::string what, uint64_t limit = max_bytes) : what_(std::move(what)) {
        if (text.size() > limit)
            throw Error(Code::limit, what_ + " is larger than the limit of " + std::to_string(limit) + " bytes");
        if (text.find_first_not_of(" \t\r\n") == std::string_view::npos)
            throw Error(Code::corrupt, what_ + " is empty");
        check_depth(text, what_);
        document_.Parse<rapidjson::kParseIterativeFlag | rapidjson::kParseValidateEncodingFlag>(text.data(),
                                                                                                text.size());
        if (document_.HasParseError())
            throw Error(Code::corrupt, what_ +
                                           " is not JSON: " + rapidjson::GetParseError_En(document_.GetParseError()) +
                                           " (at byte " + std::to_string(document_.GetErrorOffset()) + ")");
    }
    Document(const Document&) = delete;
    Document& operator=(const Document&) = delete;

    Value root() const { return Value(*this, &document_); }
    const std::string& what() const { return what_; }

private:
    friend class Value;
    // Where `wanted` stands below `from`; only made for messages.
    static bool locate(const rapidjson::Value& from, const rapidjson::Value* wanted, std::string& path) {
        if (&from == wanted) return true;
        const size_t length = path.size();
        if (from.IsObject()) {
            for (const auto& m : from.GetObject()) {
                path += (path.empty() ? "" : ".") + printable({m.name.GetString(), m.name.GetStringLength()}, 60);
                if (locate(m.value, wanted, path)) return true;
                path.resize(length);
            }
        } else if (from.IsArray()) {
            for (rapidjson::SizeType i = 0; i < from.Size(); ++i) {
                path += "[" + std::to_string(i) + "]";
                if (locate(from[i], wanted, path)) return true;
                path.resize(length);
            }
        }
        return false;
    }

    std::string what_;
    rapidjson::Document document_;
};

inline void Value::fail(const std::string& problem) const {
    std::string path;
    if (value_) {
        Document::locate(document_->document_, value_, path);
    } else {
        if (parent_) Document::locate(document_->document_, parent_, path);
        path += (path.empty() ? "" : ".") + std::string(key_);
    }
    throw Error(Code::invalid, document_->what_ + ": " + (path.empty() ? "" : path + " ") + problem);
}

}  // namespace singularity::json
