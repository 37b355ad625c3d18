// What hooks are told of an image file that is about to be run or sent. What means to read all of it, its digest and
// its signers, is found out where a hook's manifest wants it and nowhere else; each is kept in the cache with a stamp
// of the file (device, inode, size, times of change).
#pragma once
#include <functional>
#include <initializer_list>
#include <optional>
#include <string>
#include <vector>

#include "base/call.hpp"
#include "plugin/host.hpp"

namespace sg::runtime {

// "sha256:..." of all bytes of a file, as a program that maps no digests may have to ask another process for.
using ReadDigest = std::function<std::string(const std::string& path)>;

// The digest of an image file, read once; "" for a directory. Throws what `read` does.
std::string image_digest(const Settings& settings, const std::string& path, const ReadDigest& read);

struct ToldImage {
    std::string reference, path;
    std::string digest = {};                               // "": nobody wants it, or it cannot be known
    std::optional<std::vector<std::string>> signers = {};  // nullopt: nobody looked, or nobody can
};

// Fills in what the hooks that listen to one of `events` want and the image lacks. What cannot be found out is a
// warning; throws Code::cancelled alone.
void find_out_for_hooks(PluginHost& plugins, std::initializer_list<std::string_view> events, ToldImage& image,
                        const ReadDigest& read, const sg_call* call);

// PluginHost::notify with all that is known.
void tell_hooks(PluginHost& plugins, const char* event, const ToldImage& image, int exit_status = 0);

}  // namespace sg::runtime
