// What an image says of itself, and its forms as text, which programs read (docs/user/inspecting.md).
#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "metadata/attributes.hpp"
#include "plugin/host.hpp"

namespace sg {

// From the image file's own record when it has one, else from the files of its root file system; the definition from
// its own part when there is one. An image without any of it gives empty attributes. Throws what the format reports
// when neither can be read.
Attributes inspect_image(OpenedImage& image, const sg_call* call);

// The bytes of the image file's first part of this type (and name, when one is given); nothing when there is none.
std::optional<std::string> read_part(OpenedImage& image, std::string_view type, std::string_view name, const sg_call* call);

struct Sections {
    bool labels = false, deffile = false, runscript = false, startscript = false, test = false, environment = false,
         helpfile = false, list_apps = false;
    std::string app;  // show this app's sections instead of the image's
};

// Only what was asked for; Code::not_found for an app that is not there.
Attributes selected(const Attributes& all, const Sections& sections);

enum class LabelForm { json, text };
// For a person, in this order: apps, definition, scripts, help, environment, labels. Control characters of a hostile
// image apart from tab and newline are shown escaped when `terminal`.
std::string shown_text(const Attributes& all, const Sections& sections, LabelForm labels, bool terminal);

}  // namespace sg
