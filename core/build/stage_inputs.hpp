// What a result of a stage was made of, input by input: equal lists, equal results; where two lists differ, the input
// that changed has a name.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace sg {

class StageInputs {
public:
    // `name` is for people: "%post", "%files menu.txt". Only a digest of `value` is kept.
    void add(const std::string& name, std::string_view value);
    // What explains a change of other inputs, as a build argument does: told, and no part of the key.
    void note(const std::string& name, std::string_view value);

    std::string key() const;  // 64 hex digits
    // As lines, to be kept beside the result; `parse` leaves out what it does not understand.
    std::string text() const;
    static StageInputs parse(std::string_view text);
    // "%post changed", "%files menu.txt is new", "app tool is gone"; notes come first. Empty when nothing differs.
    std::vector<std::string> changed_since(const StageInputs& earlier) const;

private:
    struct Input {
        std::string name, digest;
        bool counts = true;
    };
    void put(const std::string& name, std::string digest, bool counts);
    const Input* find(const Input& like) const;

    std::vector<Input> inputs_;
};

}  // namespace sg
