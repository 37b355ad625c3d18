// Lines on stderr with the product's prefixes: the only global of core. Any thread.
//
// `LEVEL:` padded to 8 and a space ("INFO:    text"), colour only on a terminal without NO_COLOR
// (scripts read these lines). What a level shows: --silent errors only, --quiet no info, default info,
// --verbose, --debug.
#pragma once
#include <string_view>

namespace sg::log {

enum class Level : int { fatal = -4, error = -3, warning = -2, info = 1, verbose = 4, debug = 5 };

void set_threshold(Level least_important);
void set_colour(bool allowed);  // false: never, as NO_COLOR

// Something that is drawn at the cursor (progress bars): taken away before a line and put back after it.
class Overlay {
public:
    virtual ~Overlay() = default;
    virtual void hide() = 0;
    virtual void show() = 0;
};
void set_overlay(Overlay* overlay);  // null: none
Level threshold();
bool enabled(Level level);

void line(Level level, std::string_view text);
// A line without a prefix (the guide's "Copying blob ..." lines), shown from level info on.
void plain(std::string_view text);

inline void fatal(std::string_view t) { line(Level::fatal, t); }
inline void error(std::string_view t) { line(Level::error, t); }
inline void warning(std::string_view t) { line(Level::warning, t); }
inline void info(std::string_view t) { line(Level::info, t); }
inline void verbose(std::string_view t) { line(Level::verbose, t); }
inline void debug(std::string_view t) { line(Level::debug, t); }

}  // namespace sg::log
