#include "subject.hpp"

#include <stdexcept>
#include <string_view>

namespace conformance {

namespace {

// "a:b:c" at the first `times` colons.
std::vector<std::string> split(const std::string& text, size_t times) {
    std::vector<std::string> out;
    size_t at = 0;
    for (; times > 0; --times) {
        const size_t colon = text.find(':', at);
        if (colon == std::string::npos) throw std::runtime_error("wrong option value: " + text);
        out.push_back(text.substr(at, colon - at));
        at = colon + 1;
    }
    out.push_back(text.substr(at));
    return out;
}

std::string bytes_of(const std::string& hex) {
    std::string out;
    for (size_t i = 0; i + 1 < hex.size(); i += 2)
        out.push_back(static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16)));
    return out;
}

}  // namespace

Subject Subject::of(int argc, char** argv) {
    Subject s;
    const auto last = [&]() -> Capability& {
        if (s.capabilities.empty()) throw std::runtime_error("no --capability yet");
        return s.capabilities.back();
    };
    for (int i = 1; i < argc; ++i) {
        const std::string word = argv[i];
        const size_t equals = word.find('=');
        const std::string option = word.substr(0, equals),
                          value = equals == std::string::npos ? "" : word.substr(equals + 1);
        if (option == "--manifest")
            s.manifest = value;
        else if (option == "--object")
            s.object = value;
        else if (option == "--name")
            s.name = value;
        else if (option == "--version-of-plugin")
            s.version = value;
        else if (option == "--abi")
            s.abi = static_cast<uint32_t>(std::stoul(value));
        else if (option == "--capability") {
            const auto parts = split(value, 1);
            s.capabilities.push_back({parts[0], parts[1], {}, {}, {}});
        } else if (option == "--trait")
            last().traits.insert(value);
        else if (option == "--verb")
            last().verbs.push_back(value);
        else if (option == "--magic") {
            const auto parts = split(value, 1);
            last().magics.emplace_back(std::stoull(parts[0]), bytes_of(parts[1]));
        } else if (option == "--key") {
            const auto parts = split(value, 1);
            s.keys.push_back({parts[1], parts[0], {}});
        } else if (option == "--value") {
            if (s.keys.empty()) throw std::runtime_error("no --key yet");
            s.keys.back().values.push_back(value);
        } else if (option == "--neighbour") {
            const auto parts = split(value, 2);
            s.neighbours.push_back({parts[0], parts[1], parts[2]});
        } else if (option == "--with")
            s.samples.push_back(value);
        else if (option == "--json")
            s.json = true;
        else if (option == "--verbose")
            s.verbose = true;
        else
            throw std::runtime_error("unknown option " + option);
    }
    if (s.object.empty() || s.name.empty()) throw std::runtime_error("'singularity plugin test' starts this program");
    return s;
}

}  // namespace conformance
