// The forms of --bind and --mount (Apptainer's user guide, "Bind Paths and Mounts").
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sg::runtime {

// A program that serves a directory of the container (--fusemount).
struct FuseMount {
    std::vector<std::string> command;
    std::string destination;  // absolute
    bool in_container = false, daemon = false;
};

struct Bind {
    std::string source;       // absolute after resolve()
    std::string destination;  // absolute in the container
    bool read_only = false;
    // "image-src=PATH" or "id=N": the source is an image, of which this path is shown.
    bool of_image = false;
    std::string image_path = "/";
    uint64_t image_part = 0;      // its part; 0: the first that holds data, else the root file system
    bool image_directory = true;  // filled in when the image is open: is image_path a directory?
};

// "SRC[:DEST[:OPTIONS]]", several divided by commas; `\:`, `\,` and `\\` stand for the character.
// OPTIONS are "ro", "rw", "image-src=PATH" and "id=N", divided by commas. Throws Code::usage.
std::vector<Bind> parse_binds(std::string_view text);

// "type=bind,src=S,dst=D[,ro][,image-src=P][,id=N]" as CSV; several lines are several mounts.
std::vector<Bind> parse_mounts(std::string_view text);

// "[host|container|host-daemon|container-daemon:]COMMAND [WORDS] MOUNTPOINT"; quotes and backslashes as in a shell.
FuseMount parse_fuse_mount(std::string_view text);

}  // namespace sg::runtime
