#include "build/base_signers.hpp"

#include <algorithm>

#include "base/error.hpp"
#include "runtime/image_signers.hpp"

namespace sg {

namespace {

constexpr const char* key_name = "fingerprints";
constexpr size_t shortest = 40;  // digits, of OpenPGP version 4

}  // namespace

BaseSigners::BaseSigners(const definition::Text& text, const definition::Stage& stage) : text_(text), stage_(stage) {
    const definition::Key* key = stage.key(key_name);
    if (!key) return;
    for (size_t at = 0; at <= key->value.size();) {
        const size_t end = std::min(key->value.find(',', at), key->value.size());
        std::string print;
        for (const char c : key->value.substr(at, end - at))
            if (c != ' ' && c != '\t') print.push_back(c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c);
        at = end + 1;
        if (print.starts_with("0X")) print.erase(0, 2);
        if (print.empty()) continue;
        if (print.size() < shortest || print.find_first_not_of("0123456789ABCDEF") != std::string::npos)
            throw text.error(key->value_at, "'" + print + "' is no fingerprint of a key",
                             "It has 40 hexadecimal digits or more; several are divided by commas. 'singularity key "
                             "list' shows them.");
        wanted_.push_back(std::move(print));
    }
}

void BaseSigners::refuse(const std::string& why, const std::string& hint) const {
    throw Error(Code::veto, text_.error(stage_.key(key_name)->value_at, why).message(), hint);
}

void BaseSigners::check(PluginHost& plugins, const std::string& path, const sg_call* call) const {
    if (wanted_.empty()) return;
    const auto signers = runtime::image_signers(plugins, path, call);
    for (const std::string& print : wanted_)
        if (std::find(signers.begin(), signers.end(), print) == signers.end())
            refuse("the base is not signed by " + print + ", as 'Fingerprints' asks",
                   "'singularity verify' shows whose signatures an image has; 'singularity key pull " + print +
                       "' gets the key when it is not here.");
}

void BaseSigners::check_unsigned() const {
    if (!wanted_.empty())
        refuse(
            "'Fingerprints' asks for signatures, and a base of 'Bootstrap: " + stage_.value("bootstrap") + "' has none",
            "Images of 'localimage', 'library' and 'oras' can be signed.");
}

}  // namespace sg
