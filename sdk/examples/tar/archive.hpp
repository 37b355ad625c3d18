// libarchive's handles as values, and its failures as errors.
#pragma once
#include <archive.h>
#include <archive_entry.h>
#include <locale.h>

#include <memory>
#include <singularity/error.hpp>

namespace tarball {

using Reading = std::unique_ptr<archive, decltype(&archive_read_free)>;
using Writing = std::unique_ptr<archive, decltype(&archive_write_free)>;
using Entry = std::unique_ptr<archive_entry, decltype(&archive_entry_free)>;

// Throws what libarchive says of its last failure; a warning is none.
inline void check(archive* a, la_ssize_t result, singularity::Code code, const char* what) {
    if (result >= ARCHIVE_WARN) return;
    const char* why = archive_error_string(a);
    throw singularity::Error(code, std::string(what) + ": " + (why ? why : "unknown reason"));
}

// libarchive takes names for text of the thread's locale; the host has the plain one, in which only ASCII is text.
class Utf8Names {
public:
    Utf8Names() : locale_(newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr)), before_(uselocale(locale_)) {}
    Utf8Names(const Utf8Names&) = delete;
    Utf8Names& operator=(const Utf8Names&) = delete;
    ~Utf8Names() {
        uselocale(before_);
        if (locale_) freelocale(locale_);
    }

private:
    locale_t locale_, before_;
};

}  // namespace tarball
