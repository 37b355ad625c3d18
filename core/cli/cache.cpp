// singularity cache list | clean
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <iostream>
#include <memory>
#include <set>

#include "base/log.hpp"
#include "lookup/cache_places.hpp"
#include "cli/comma_list.hpp"
#include "cli/json_writer.hpp"
#include "cli/print.hpp"
#include "cli/verb.hpp"
#include "store/blob_store.hpp"
#include "store/cleaning.hpp"
#include "store/image_cache.hpp"
#include "store/inventory.hpp"
#include "store/output.hpp"
#include "store/segment_area.hpp"

namespace sg {

namespace {

constexpr const char* kBlobs = "blob";  // the type of layers, as newer versions call it
constexpr int kBlobOrder = 40;          // its place among the areas, which manifests give

struct Options {
    std::vector<std::string> types, names;
    bool verbose = false, verify = false, summary = false, force = false, dry = false;
    int64_t days = -1;
    std::string most;
};

// As Singularity writes it: never below KiB.
std::string size_text(uint64_t bytes) {
    static const char* const units[] = {"KiB", "MiB", "GiB", "TiB"};
    double n = static_cast<double>(bytes) / 1024;
    size_t unit = 0;
    while (n >= 1024 && unit + 1 < sizeof units / sizeof *units) n /= 1024, ++unit;
    char text[32];
    std::snprintf(text, sizeof text, "%.2f %s", n, units[unit]);
    return text;
}

struct Area {
    std::string name;
    int64_t order;
};

// The layers' place and every area: those of manifests, and such as an absent plugin left.
std::vector<Area> all_areas(const Index& index, const std::string& root) {
    std::vector<Area> out{{kBlobs, kBlobOrder}, {segment_area, kBlobOrder + 1}};
    const auto add = [&](const std::string& name, int64_t order) {
        if (std::none_of(out.begin(), out.end(), [&](const Area& a) { return a.name == name; })) out.push_back({name, order});
    };
    for (const auto& a : index.cache_areas()) add(std::string(a.area), a.order);
    for (const auto& name : areas_in(root)) add(name, INT32_MAX);
    std::stable_sort(out.begin(), out.end(), [](const Area& a, const Area& b) { return a.order < b.order; });
    return out;
}

// `types` of the command line, "all" or none for everything. A type is an area's name, with or without its "-tmp".
std::vector<Area> chosen_areas(const std::vector<Area>& all, const std::vector<std::string>& types) {
    const auto given = comma_list(types);
    const std::set<std::string> words(given.begin(), given.end());
    if (words.empty() || words.count("all") != 0) return all;
    std::vector<Area> out;
    for (const auto& w : words) {
        const auto before = out.size();
        for (const auto& a : all)
            if (a.name == w || a.name == w + "-tmp") out.push_back(a);
        if (out.size() > before) continue;
        std::string known;
        for (const auto& a : all) known += a.name + ", ";
        throw Error(Code::usage, "there is no type '" + w + "' in the cache", "Types: " + known + "all.");
    }
    return out;
}

std::vector<std::string> image_areas(const std::vector<Area>& areas) {
    std::vector<std::string> out;
    for (const auto& a : areas)
        if (a.name != kBlobs && a.name != segment_area) out.push_back(a.name);
    return out;
}
bool with_area(const std::vector<Area>& areas, std::string_view name) {
    return std::any_of(areas.begin(), areas.end(), [&](const Area& a) { return a.name == name; });
}

std::string root_of(const Session& session) { return cache_places(session.settings).own; }

std::string date_text(int64_t seconds) {
    const time_t t = seconds;
    struct tm parts {};
    localtime_r(&t, &parts);
    char text[32];
    strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &parts);
    return text;
}

// Paths of what is not as it was stored.
std::set<std::string> damaged_of(const Inventory& inventory, const std::string& root, const CancelToken& cancel) {
    std::set<std::string> out;
    const BlobStore store(root, {});
    for (const auto& b : inventory.blobs) {
        cancel.poll();
        const bool sha512 = b.hash.size() == 128;
        const auto digest = Digest::from_hex(sha512 ? Digest::Algorithm::sha512 : Digest::Algorithm::sha256, b.hash);
        if (!digest || !store.intact(*digest)) out.insert(b.path);
    }
    for (const auto& s : inventory.segments)
        if (!ImageCache(root).as_stored(s.path)) out.insert(s.path);
    for (const auto& i : inventory.images)
        if (!i.directory && i.name != i.hash && !ImageCache(root).as_stored(i.path)) out.insert(i.path);
    return out;
}

int list(const Options& o, Session& session) {
    const std::string root = root_of(session);
    const auto areas = chosen_areas(all_areas(session.settings.index(), root), o.types);
    Inventory inventory = root.empty() ? Inventory() : take_inventory(root, image_areas(areas));
    if (!with_area(areas, kBlobs)) inventory.blobs.clear();
    if (!with_area(areas, segment_area)) inventory.segments.clear();
    const auto damaged = o.verify ? damaged_of(inventory, root, session.cancel) : std::set<std::string>();
    const uint64_t total = inventory.image_bytes() + inventory.blob_bytes() + inventory.segment_bytes();
    if (session.json) {
        JsonWriter json;
        const auto files = [&](const char* key, const std::vector<CachedFile>& list) {
            json.key(key);
            json.begin_array();
            for (const auto& f : list) {
                json.begin_object();
                json.member("type", f.area.empty() ? kBlobs : f.area);
                json.member("name", f.name);
                json.member("hash", f.hash);
                json.member("path", f.path);
                json.key("size"), json.integer(static_cast<int64_t>(f.size));
                json.key("created"), json.integer(f.modified);
                if (o.verify) json.key("damaged"), json.boolean(damaged.count(f.path) != 0);
                json.end_object();
            }
            json.end_array();
        };
        json.begin_object();
        json.member("root", root);
        files("images", inventory.images);
        files("blobs", inventory.blobs);
        files("segments", inventory.segments);
        json.key("total"), json.integer(static_cast<int64_t>(total));
        json.end_object();
        print(json.take());
        return damaged.empty() ? 0 : 255;
    }
    std::string out;
    if (o.verbose) {
        char line[512];
        const auto row = [&](const std::string& name, const std::string& date, const std::string& size, const std::string& type) {
            std::snprintf(line, sizeof line, "%-24s %-22s %-16s %s\n", name.c_str(), date.c_str(), size.c_str(), type.c_str());
            out += line;
        };
        row("NAME", "DATE CREATED", "SIZE", "TYPE");
        for (const auto& i : inventory.images) row(i.name.substr(0, 24), date_text(i.modified), size_text(i.size), i.area);
        for (const auto& b : inventory.blobs) row(b.hash.substr(0, 22), date_text(b.modified), size_text(b.size), kBlobs);
        for (const auto& f : inventory.segments) row(f.name, date_text(f.modified), size_text(f.size), segment_area);
        out += "\n";
    }
    out += "There are " + std::to_string(inventory.images.size()) + " container file(s) using " + size_text(inventory.image_bytes()) + " and " +
           std::to_string(inventory.blobs.size()) + " oci blob file(s) using " + size_text(inventory.blob_bytes()) + " of space\n";
    if (!inventory.segments.empty())
        out += "There are " + std::to_string(inventory.segments.size()) + " converted layer(s) using " + size_text(inventory.segment_bytes()) + " of space\n";
    out += "Total space used: " + size_text(total) + "\n";
    print(out);
    for (const auto& path : damaged) log::error("damaged: " + path);
    return damaged.empty() ? 0 : 255;
}

// Bytes from "10G", "500MB" or "1024".
uint64_t bytes_of(const std::string& text) {
    size_t used = 0;
    unsigned long long n = 0;
    try {
        if (!text.empty() && text[0] >= '0' && text[0] <= '9') n = std::stoull(text, &used);
    } catch (const std::exception&) {
        used = 0;
    }
    std::string unit = text.substr(std::min(used, text.size()));
    const int shift = unit.empty() || unit == "B" ? 0 : unit[0] == 'K' ? 10 : unit[0] == 'M' ? 20 : unit[0] == 'G' ? 30 : unit[0] == 'T' ? 40 : -1;
    if (shift > 0) unit.erase(0, 1);
    if (used == 0 || shift < 0 || !(unit.empty() || unit == "B" || unit == "iB") || n > (UINT64_MAX >> shift))
        throw Error(Code::usage, "--max-size " + text + ": not a size", "Write 10G or 500M.");
    return n << shift;
}

bool confirmed(const std::string& what) {
    print("This will delete " + what + ".\n"
          "Hint: You can see exactly what would be deleted by canceling and using the --dry-run option.\n"
          "Do you want to continue? [N/y] ");
    std::string answer;
    std::getline(std::cin, answer);
    return answer == "y" || answer == "Y" || answer == "yes";
}

int clean(const Options& o, Session& session) {
    const std::string root = root_of(session);
    const auto areas = chosen_areas(all_areas(session.settings.index(), root), o.types);
    CleanWish wish;
    wish.areas = image_areas(areas);
    wish.blobs = with_area(areas, kBlobs);
    wish.segments = with_area(areas, segment_area);
    wish.names = o.names;
    if (o.days >= 0) wish.older_than = static_cast<unsigned>(std::min<int64_t>(o.days, 1'000'000));
    if (!o.most.empty()) wish.most_bytes = bytes_of(o.most);
    const bool everything = o.types.empty() && o.names.empty() && !wish.older_than && !wish.most_bytes;
    if (root.empty()) {
        log::info("There is no cache to clean");
        return 0;
    }
    if (o.dry)
        log::info("User requested a dry run. Not actually deleting any data!");
    else if (!o.force && !confirmed(everything ? "everything in your cache (containers from all sources and OCI blobs)" : "what these options choose from your cache")) {
        log::info("Cache cleanup canceled");
        return 0;
    }
    const auto removing = [](const std::string& path) { print("Removing " + path + "\n"); };
    if (!wish.names.empty() || wish.older_than || wish.most_bytes) {
        clean_cache(root, wish, o.dry, removing);
        return 0;
    }
    for (const auto& a : areas) {
        const std::string path = a.name == kBlobs ? BlobStore::layout(root) : root + "/" + a.name;
        removing(path);
        if (!o.dry) remove_tree(path);
    }
    if (!o.dry && wish.blobs) forget_images(root);
    return 0;
}

Action declare(Arguments& arguments) {
    auto o = std::make_shared<Options>();
    Arguments& list_verb = arguments.command("list", "Tell what is in the cache and how much space it takes");
    list_verb.list("-T,--type", o->types, "Only these: an area of the cache, blob, segment (converted layers), or all").shown_as("TYPE");
    list_verb.flag("-v,--verbose", o->verbose, "Each file in a line");
    list_verb.flag("-s,--summary", o->summary, "Only the sums (that is how it is without -v)");
    list_verb.flag("--verify", o->verify, "Read everything and tell what is damaged");
    list_verb.examples({"singularity cache list", "singularity cache list -v -T blob", "singularity cache list --json --verify"});
    Arguments& clean_verb = arguments.command("clean", "Remove what is in the cache");
    clean_verb.list("-T,--type", o->types, "Only these: an area of the cache, blob, segment (converted layers), or all").shown_as("TYPE");
    clean_verb.list("-N,--name", o->names, "Only files of this name, or of this hash").shown_as("NAME").offers("CACHED");
    clean_verb.integer("-D,--days", o->days, "Only what was stored more than so many days ago");
    clean_verb.text("--max-size", o->most, "What was not used for longest, until the rest is no larger: 10G").shown_as("SIZE");
    clean_verb.flag("-n,--dry-run", o->dry, "Tell what would be removed");
    clean_verb.flag("-f,--force", o->force, "Do not ask");
    clean_verb.examples({"singularity cache clean", "singularity cache clean --dry-run -D 30", "singularity cache clean -f --max-size 10G"});
    const std::string below = arguments.name() + " list";
    return [o, below, &arguments](Session& session) { return arguments.chosen().name() == below ? list(*o, session) : clean(*o, session); };
}

}  // namespace

extern const Verb cache_verb{"cache", "Look after images", "List or clean the cache of images", {}, true, declare};

}  // namespace sg
