// The files of the pages, put into the object when it is built (embed.cmake).
#pragma once
#include <span>
#include <string_view>

namespace hub {

struct WebFile {
    std::string_view name, type, bytes;
    std::string_view etag;  // with quotes
};

std::span<const WebFile> web_files();

}  // namespace hub
