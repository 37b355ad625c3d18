// The image that is being made: its place on disk and its format's writer.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "build/convert.hpp"
#include "metadata/oci.hpp"
#include "rootfs/writer.hpp"
#include "store/output.hpp"

namespace sg {

// The file or directory that is being written, whichever the format makes. Without commit nothing is left.
class Target {
public:
    Target(std::string path, bool directory);
    void restart();  // drops what was written
    int fd() const { return file_ ? file_->fd() : -1; }  // -1: a directory
    const std::string& name() const { return target_; }  // what the user called it
    std::string path() const { return file_ ? file_->target() : directory_->path(); }
    void commit() { file_ ? file_->commit() : directory_->commit(); }

private:
    const std::string target_;
    const bool is_directory_;
    std::unique_ptr<OutputFile> file_;
    std::unique_ptr<OutputDirectory> directory_;
};

struct WriterFacts {
    std::string identity;  // names the content: with equal options, equal text gives an equal UUID
    std::string arch;
    std::optional<int64_t> time;
};
ImageWriter open_writer(const FormatEntry& format, const ConvertOptions& options, const Target& target, const WriterFacts& facts,
                        const sg_call* call);

void add_parts(const Metadata& metadata, const FormatEntry& format, ImageWriter& writer);

// "INFO:    Creating SIF file..."
void say_creating(const FormatEntry& format);

}  // namespace sg
