// The keys that must have signed a base: `Fingerprints: A, B` of a header.
#pragma once
#include <string>
#include <vector>

#include "base/call.hpp"
#include "definition/definition.hpp"
#include "plugin/host.hpp"

namespace sg {

class BaseSigners {
public:
    // Throws, with the place, for what is no whole fingerprint: parts of one can be forged.
    BaseSigners(const definition::Text& text, const definition::Stage& stage);

    // Throws Code::veto, with the place, unless each of the keys signed all of the image at `path`.
    void check(PluginHost& plugins, const std::string& path, const sg_call* call) const;
    // The same for a base that is no image file, which nobody signs.
    void check_unsigned() const;

private:
    [[noreturn]] void refuse(const std::string& why, const std::string& hint) const;

    const definition::Text& text_;
    const definition::Stage& stage_;
    std::vector<std::string> wanted_;  // in upper case
};

}  // namespace sg
