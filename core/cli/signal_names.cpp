#include "cli/signal_names.hpp"

#include <signal.h>
#include <string.h>

#include <charconv>

#include "base/error.hpp"

namespace sg {

int signal_number(const std::string& text) {
    int n = 0;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), n);
    if (failure == std::errc() && end == text.data() + text.size() && n > 0 && n < NSIG) return n;
    std::string name = text;
    for (char& c : name)
        if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    if (name.starts_with("SIG")) name.erase(0, 3);
    for (int s = 1; s < NSIG; ++s)
        if (const char* known = ::sigabbrev_np(s); known && name == known) return s;
    throw Error(Code::usage, "'" + text + "' is no signal", "write a number or a name as SIGTERM");
}

}  // namespace sg
