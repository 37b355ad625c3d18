// What `inspect` shows of an image, as SIF files carry it in `inspect-metadata.json`: the JSON that
// Apptainer's `inspect --json --all` prints.
#pragma once
#include <map>
#include <string>
#include <string_view>

#include "metadata/labels.hpp"

namespace sg {

struct AppAttributes {
    std::map<std::string, std::string> environment;
    Labels labels;
    std::string runscript, startscript, test, helpfile;
};

// Texts are without newlines at their end. Empty members count as absent.
struct Attributes {
    std::map<std::string, AppAttributes> apps;
    std::map<std::string, std::string> environment;  // path in the image -> text
    Labels labels;
    std::string runscript, test, helpfile, deffile, startscript;
};

// The envelope {"data":{"attributes":...},"type":"container"}: compact when `indent` is empty. With `indent` a newline
// ends it.
std::string attributes_json(const Attributes& attributes, std::string_view indent = {});

// The other way; members that are not known are skipped. Throws Code::corrupt when it is no such envelope.
Attributes parse_attributes(std::string_view json);

// A copy without the newlines at its end.
std::string without_trailing_newlines(std::string_view text);

}  // namespace sg
