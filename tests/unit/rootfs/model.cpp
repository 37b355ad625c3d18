// The merge against a model that is as plain as can be: each layer alone becomes what it changes, then
// the changes are laid over each other, the oldest first.
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>

#include "base/error.hpp"
#include "layered.hpp"
#include "support.hpp"

using namespace rootfs_test;

namespace {

struct Step {
    char type;  // a tar type, 'w' a whiteout, 'o' an opaque marker
    std::string name, target;
    int mode = 0;
};

// One thing with its names; what `older` names is another layer's.
struct Item {
    char type = '5';
    std::string text;
    int mode = 0755;
    bool implied = false, cut = false;
    std::string older;
};
using ItemP = std::shared_ptr<Item>;
using State = std::map<std::string, ItemP>;  // by path; "" is the root

struct Refused {};    // the layer is wrong
struct Undefined {};  // a hard link to what is not there: the merge may find more than it must

std::string join(const std::string& dir, const std::string& name) { return dir.empty() ? name : dir + "/" + name; }
std::string up(const std::string& path) {
    const auto at = path.rfind('/');
    return at == std::string::npos ? "" : path.substr(0, at);
}
void erase_below(State& s, const std::string& path) {
    std::erase_if(s, [&](const auto& e) { return path.empty() ? !e.first.empty() : e.first.starts_with(path + "/"); });
}
std::vector<std::string> split(const std::string& path, bool chroot) {
    std::vector<std::string> out;
    std::string part;
    for (const char c : path + "/") {
        if (c != '/') {
            part += c;
            continue;
        }
        if (part == ".." && chroot) {
            if (!out.empty()) out.pop_back();
        } else if (!part.empty() && part != ".") {
            out.push_back(part);
        }
        part.clear();
    }
    return out;
}

// What one layer changes.
struct Change {
    const State& before;
    State own = {};
    std::set<std::string> had_file = {};
    std::vector<std::pair<bool, std::string>> removals = {};  // with the name itself, path

    std::string walk(std::vector<std::string> parts, bool make) {
        std::deque<std::string> todo(parts.begin(), parts.end());
        std::string at;
        int links = 0;
        while (!todo.empty()) {
            const std::string part = todo.front();
            todo.pop_front();
            if (part == "..") {
                at = up(at);
                continue;
            }
            const std::string p = join(at, part);
            const auto found = own.find(p);
            if (found != own.end() && found->second->type == '2') {
                if (++links > 40) throw Refused();
                const std::string text = found->second->text;
                const auto more = split(text, false);
                todo.insert(todo.begin(), more.begin(), more.end());
                if (text.starts_with("/")) at.clear();
                continue;
            }
            if (make) directory(p, std::nullopt);
            at = p;
        }
        return at;
    }
    void directory(const std::string& p, std::optional<int> mode) {
        auto& item = own[p];
        if (item && item->type == '5') {
            if (mode) item->implied = false, item->mode = *mode;
            return;
        }
        item = std::make_shared<Item>();
        item->implied = !mode;
        item->cut = had_file.contains(p);
        item->mode = mode.value_or(0755);
    }
    void apply(const Step& s) {
        auto parts = split(s.name, true);
        if (s.type == 'o') {
            removals.emplace_back(false, walk(parts, false));
            return;
        }
        if (parts.empty()) {
            if (s.type != '5') throw Refused();
            return directory("", s.mode);
        }
        const std::string base = parts.back();
        parts.pop_back();
        if (s.type == 'w') {
            removals.emplace_back(true, join(walk(parts, false), base));
            return;
        }
        const std::string p = join(walk(parts, true), base);
        if (s.type == '5') return directory(p, s.mode);
        ItemP item;
        if (s.type == '1') {
            auto to = split(s.target, true);
            if (to.empty()) throw Refused();
            const std::string last = to.back();
            to.pop_back();
            const std::string target = join(walk(to, false), last);
            if (target == p) return;
            const auto found = own.find(target);
            const bool implied = found != own.end() && found->second->type == '5' && found->second->implied;
            if (found != own.end() && found->second->type == '5' && (!implied || had_file.contains(target)))
                throw Refused();
            if (found != own.end() && !implied) {
                item = found->second;
            } else {
                item = std::make_shared<Item>();
                item->type = '1';
                item->older = target;
                const auto there = before.find(target);
                if (there == before.end() || there->second->type == '5') throw Undefined();
            }
        } else {
            item = std::make_shared<Item>();
            item->type = s.type;
            item->text = s.target;
        }
        erase_below(own, p);
        std::erase_if(had_file, [&](const std::string& f) { return f.starts_with(p + "/"); });
        had_file.insert(p);
        own[p] = item;
    }
};

State laid_over(const State& before, Change change) {
    State now = before;
    for (const auto& [itself, path] : change.removals) {
        erase_below(now, path);
        if (itself) now.erase(path);
    }
    // Parents come before what is below them.
    std::vector<std::pair<std::string, ItemP>> order(change.own.begin(), change.own.end());
    std::stable_sort(order.begin(), order.end(), [](const auto& a, const auto& b) {
        const auto depth = [](const std::string& s) { return s.empty() ? -1 : std::count(s.begin(), s.end(), '/'); };
        return depth(a.first) < depth(b.first);
    });
    for (auto& [path, item] : order) {
        if (item->type == '5') {
            if (item->cut) {
                erase_below(now, path);
                now.erase(path);
            }
            const auto there = now.find(path);
            const bool dir = there != now.end() && there->second->type == '5';
            if (!dir || !item->implied) now[path] = std::make_shared<Item>(*item);
            continue;
        }
        erase_below(now, path);
        if (item->type == '1') {
            now[path] = before.at(item->older);
        } else {
            now[path] = item;
        }
    }
    return now;
}

Lines modelled(const std::vector<std::vector<Step>>& layers) {
    State state;
    state[""] = std::make_shared<Item>();
    for (const auto& steps : layers) {
        Change change{state};
        for (const Step& s : steps) change.apply(s);
        state = laid_over(state, std::move(change));
    }
    std::map<Item*, int> names;
    for (const auto& [path, item] : state) ++names[item.get()];
    Lines out;
    for (const auto& [path, item] : state) {
        char mode[16];
        std::snprintf(mode, sizeof mode, "dir %04o", static_cast<unsigned>(item->mode));
        std::string s = item->type == '5'   ? mode
                        : item->type == '2' ? "-> " + item->text
                        : item->type == '6' ? "fifo"
                                            : "file " + item->text;
        if (item->type != '5' && names[item.get()] > 1) s += " (" + std::to_string(names[item.get()]) + " names)";
        out[path.empty() ? "." : path] = s;
    }
    return out;
}

std::vector<std::vector<Step>> layers_of_chance(unsigned seed) {
    std::mt19937 random(seed);
    const auto any = [&](unsigned n) { return static_cast<unsigned>(random() % n); };
    const auto name = [&] {
        std::string n(1, static_cast<char>('a' + any(3)));
        while (any(5) < 2) n += any(20) == 0 ? std::string("/..") : std::string("/") + static_cast<char>('a' + any(3));
        return any(30) == 0 ? "./" + n : n;
    };
    std::vector<std::vector<Step>> layers(2 + any(4));
    int number = 0;
    std::vector<std::string> files;  // a hard link mostly leads to what was a file once
    for (auto& steps : layers) {
        const unsigned n = 1 + any(9);
        for (unsigned i = 0; i < n; ++i) {
            ++number;
            switch (any(16)) {
                case 0:
                case 1:
                case 2: steps.push_back({'5', name(), "", static_cast<int>(0700 + any(64))}); break;
                case 3:
                case 4: {
                    static const char* const targets[] = {"a", "b", "/c", "..", "../b", "a/b", "/c/a", "../../x"};
                    steps.push_back({'2', name(), targets[any(8)]});
                    break;
                }
                case 5:
                case 6:
                case 7: {
                    const std::string link = name();
                    steps.push_back(
                        {'1', link,
                         files.empty() || any(10) == 0 ? name() : files[any(static_cast<unsigned>(files.size()))]});
                    files.push_back(link);
                    break;
                }
                case 8:
                case 9: steps.push_back({'w', name()}); break;
                case 10: steps.push_back({'o', any(8) == 0 ? "" : name()}); break;
                case 11: steps.push_back({'6', name()}); break;
                default:
                    steps.push_back({'0', name(), "n" + std::to_string(number)});
                    files.push_back(steps.back().name);
            }
        }
    }
    return layers;
}

Tar tar_of(const std::vector<Step>& steps) {
    Tar t;
    for (const Step& s : steps) {
        const auto parts = split(s.name, true);
        switch (s.type) {
            case '0': t.file(s.name, s.target); break;
            case '1': t.hard(s.name, s.target); break;
            case '2': t.link(s.name, s.target); break;
            case '5': t.dir(s.name, {.mode = s.mode}); break;
            case '6': t.fifo(s.name); break;
            case 'o': t.file(join(s.name, ".wh..wh..opq"), ""); break;
            default: {
                std::string path;
                for (size_t i = 0; i + 1 < parts.size(); ++i) path += parts[i] + "/";
                t.file(path + ".wh." + parts.back(), "");
            }
        }
    }
    return t;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(against_a_model)

BOOST_AUTO_TEST_CASE(layers_made_at_random_give_the_models_tree) {
    unsigned compared = 0, refused = 0, wrong = 0;
    for (unsigned seed = 1; seed <= 5000 && wrong < 3; ++seed) {
        auto layers = layers_of_chance(seed);
        // A whiteout needs a name.
        for (auto& steps : layers)
            std::erase_if(steps, [](const Step& s) { return s.type == 'w' && split(s.name, true).empty(); });
        std::optional<Lines> expected;
        try {
            expected = modelled(layers);
        } catch (const Refused&) {
        } catch (const Undefined&) {
            continue;
        }
        std::vector<sg::LayerInput> inputs;
        std::string story;
        for (const auto& steps : layers) {
            sg::LayerInput l;
            l.name = std::to_string(inputs.size());
            l.open = [bytes = tar_of(steps).bytes()] { return stream_of(bytes, 1 << 20); };
            inputs.push_back(std::move(l));
            for (const Step& s : steps) story += std::string(1, s.type) + " " + s.name + " " + s.target + "\n";
            story += "--\n";
        }
        std::optional<Lines> got;
        std::string why;
        try {
            Merged m = merge(std::move(inputs));
            got = lines(m);
        } catch (const sg::Error& e) {
            why = e.message();
        }
        if (expected) ++compared;
        if (!expected) ++refused;
        const std::string e = expected ? text(*expected) : "refused", g = got ? text(*got) : "refused";
        if (e == g) continue;
        ++wrong;
        BOOST_ERROR("seed " << seed << "\n" << story << "the model:\n" << e << "the merge:\n" << g << why);
    }
    BOOST_TEST(compared > 500u);
    BOOST_TEST_MESSAGE(compared << " trees compared, " << refused << " refused by both");
}

namespace {

std::vector<sg::LayerInput> inputs_of(std::span<const std::vector<Step>> layers) {
    std::vector<sg::LayerInput> out;
    for (const auto& steps : layers) {
        sg::LayerInput l;
        l.name = std::to_string(out.size());
        l.open = [bytes = tar_of(steps).bytes()] { return stream_of(bytes, 1 << 20); };
        out.push_back(std::move(l));
    }
    return out;
}

struct LayeredResult {
    std::string shown, why;
};

LayeredResult merged_layers(std::vector<sg::LayerInput>& in, bool sparse = false) {
    LayeredResult r;
    LayeredRecorder recorder;
    try {
        sg::ImageWriter writer = recorder.layered(sparse);
        sg::Tree tree = sg::merge_layers(in, writer, {}, {1}, nullptr);
        for (const auto& c : recorder.contents) r.shown += c.hint + " " + c.bytes + "\n";
        Merged m{std::move(tree), std::move(recorder)};
        r.shown += text(lines(m, true));
    } catch (const sg::Error& e) {
        r.why = e.message();
    }
    return r;
}

std::vector<std::vector<Step>> layers_without_bad_whiteouts(unsigned seed) {
    auto layers = layers_of_chance(seed);
    for (auto& steps : layers)
        std::erase_if(steps, [](const Step& s) { return s.type == 'w' && split(s.name, true).empty(); });
    return layers;
}

}  // namespace

// Segments that lack what their image hides serve images that hide it too; for others the layer is read.
BOOST_AUTO_TEST_CASE(a_segment_without_the_bytes_that_an_image_shows_is_not_taken) {
    unsigned taken = 0, read = 0, refused = 0;
    for (unsigned seed = 1; seed <= 1200; ++seed) {
        const auto layers = layers_without_bad_whiteouts(seed);
        if (layers.size() < 2) continue;
        const std::span lower(layers.data(), layers.size() - 1);
        auto making = inputs_of(layers), plain = inputs_of(lower);
        std::deque<MemoryFile> files(making.size());
        for (size_t i = 0; i < making.size(); ++i) making[i].segment = std::make_shared<sg::NewLayer>(files[i].fd());
        const LayeredResult all = merged_layers(making, true), expected = merged_layers(plain);
        if (!all.why.empty() || !expected.why.empty()) continue;
        auto stored = inputs_of(lower);
        bool complete = true, opened = false;
        for (size_t i = 0; i < stored.size(); ++i) {
            if (!making[i].segment->whole()) continue;
            stored[i].stored = std::make_shared<sg::StoredLayer>(files[i].again(), LayeredRecorder::tables(true));
            complete = complete && stored[i].stored->complete();
            stored[i].open = [&opened, open = stored[i].open] {
                opened = true;
                return open();
            };
        }
        const LayeredResult got = merged_layers(stored, true);
        if (got.why == "the segment lacks a file") {
            ++refused;  // a link that the layer itself makes: the host begins anew without segments
            continue;
        }
        BOOST_REQUIRE_MESSAGE(got.shown == expected.shown, "seed " << seed << ": " << got.why << "\n"
                                                                   << got.shown << "instead of\n"
                                                                   << expected.shown);
        BOOST_REQUIRE(!complete || !opened);
        ++(opened ? read : taken);
    }
    BOOST_TEST(taken > 100u);
    BOOST_TEST(read > 50u);
    BOOST_TEST(refused * 20 < taken + read);
}

// What was kept of a layer gives the same tree, the same contents in the same order, and the same writer's calls.
BOOST_AUTO_TEST_CASE(layers_made_at_random_give_the_same_image_from_segments) {
    unsigned compared = 0, taken = 0;
    for (unsigned seed = 1; seed <= 1200; ++seed) {
        const auto layers = layers_without_bad_whiteouts(seed);
        const auto inputs = [&] { return inputs_of(layers); };
        const auto merged = [](std::vector<sg::LayerInput>& in) { return merged_layers(in); };
        auto plain = inputs();
        const LayeredResult expected = merged(plain);
        if (!expected.why.empty()) continue;
        ++compared;

        auto making = inputs();
        std::deque<MemoryFile> files(making.size());
        for (size_t i = 0; i < making.size(); ++i) making[i].segment = std::make_shared<sg::NewLayer>(files[i].fd());
        BOOST_REQUIRE_EQUAL(merged(making).shown, expected.shown);
        // Each layer alone makes the same segment: what newer ones hide changes nothing.
        for (size_t i = 0; i < making.size(); ++i) {
            auto alone = inputs();
            std::vector<sg::LayerInput> one;
            one.push_back(std::move(alone[i]));
            MemoryFile file;
            one[0].segment = std::make_shared<sg::NewLayer>(file.fd());
            if (const LayeredResult r = merged(one); !r.why.empty() && !one[0].segment->whole()) continue;
            BOOST_REQUIRE_MESSAGE(file.bytes() == files[i].bytes(), "seed " << seed << ", layer " << i);
        }
        // All of them, and each with the others as archives.
        for (size_t only = 0; only <= making.size(); ++only) {
            auto stored = inputs();
            for (size_t i = 0; i < stored.size(); ++i) {
                if ((only < stored.size() && only != i) || !making[i].segment->whole()) continue;
                stored[i].stored = std::make_shared<sg::StoredLayer>(files[i].again(), LayeredRecorder::tables());
                stored[i].open = nullptr;
                ++taken;
            }
            const LayeredResult got = merged(stored);
            BOOST_REQUIRE_MESSAGE(got.shown == expected.shown, "seed " << seed << ": " << got.why << "\n"
                                                                       << got.shown << "instead of\n"
                                                                       << expected.shown);
        }
    }
    BOOST_TEST(compared > 300u);
    BOOST_TEST(taken > 500u);
}

BOOST_AUTO_TEST_CASE(a_segment_that_was_cut_off_or_changed_is_refused) {
    Tar t;
    t.dir("d")
        .file("d/a", "bytes of a", {.xattrs = {{"user.x", "y"}}})
        .link("l", "d/a")
        .hard("h", "d/a")
        .device("dev", 1, 3);
    std::vector<sg::LayerInput> in = layers_of({t});
    MemoryFile file;
    in[0].segment = std::make_shared<sg::NewLayer>(file.fd());
    LayeredRecorder recorder;
    sg::ImageWriter writer = recorder.layered();
    sg::Tree tree = sg::merge_layers(in, writer, {}, {1}, nullptr);
    BOOST_REQUIRE(in[0].segment->whole());
    const std::string whole = file.bytes();
    const auto opened = [](const std::string& bytes) {
        MemoryFile copy;
        BOOST_REQUIRE_EQUAL(write(copy.fd(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
        try {
            sg::StoredLayer(copy.again(), LayeredRecorder::tables());
            return true;
        } catch (const sg::Error& e) {
            BOOST_CHECK(e.code() == sg::Code::corrupt);
            return false;
        }
    };
    BOOST_CHECK(opened(whole));
    for (size_t n = 0; n < whole.size(); ++n) BOOST_REQUIRE(!opened(whole.substr(0, n)));
    const size_t data = (whole.find("bytes of a") + 10) / 2;  // of stored files, which no checksum covers
    for (size_t i = data; i < whole.size(); ++i) {
        std::string bad = whole;
        bad[i] = static_cast<char>(bad[i] ^ 4);
        BOOST_REQUIRE_MESSAGE(!opened(bad), "byte " << i << " of " << whole.size());
    }
}

BOOST_AUTO_TEST_SUITE_END()
