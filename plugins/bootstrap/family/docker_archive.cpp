#include "family/docker_archive.hpp"

#include <singularity/json.hpp>

#include "family/reference.hpp"
#include "family/tar_reader.hpp"

namespace sources {
namespace {

namespace json = singularity::json;
constexpr size_t max_items = 10000;

struct Item {
    std::string config;
    std::vector<std::string> tags, layers;
    std::vector<std::pair<std::string, std::string>> layer_types;  // diff ID -> media type
};

[[noreturn]] void fail(Code code, const std::string& message, const std::string& hint) {
    throw Error(code, "conveyor failed to get: " + message, hint);
}

std::vector<Item> parse_items(std::string_view text, const std::string& where) {
    const json::Document document(text, where, max_document);
    std::vector<Item> out;
    const auto list = document.root().list();
    if (list.size() > max_items)
        throw Error(Code::limit, where + " lists more than " + std::to_string(max_items) + " images");
    for (const json::Value& v : list) {
        if (!v.is_object()) v.fail("is not an object");
        Item item;
        item.config = v["Config"].text();
        item.tags = v["RepoTags"].texts();
        item.layers = v["Layers"].texts();
        if (item.layers.size() > max_layers)
            throw Error(Code::limit, where + " has more than " + std::to_string(max_layers) + " layers");
        for (const auto& [diff_id, d] : v["LayerSources"].members())
            item.layer_types.emplace_back(diff_id, singularity::media_type::essence(d["mediaType"].text_or()));
        out.push_back(std::move(item));
    }
    return out;
}

std::string what_there_is(const std::vector<Item>& items) {
    std::vector<std::string> names;
    for (size_t i = 0; i < items.size() && names.size() <= 12; ++i) {
        if (items[i].tags.empty()) names.push_back("@" + std::to_string(i));
        for (const std::string& tag : items[i].tags) names.push_back(json::printable(tag));
    }
    if (names.empty()) return " holds no image.";
    std::string out;
    for (size_t i = 0; i < names.size() && i < 12; ++i) out += (i > 0 ? ", " : "") + names[i];
    return " holds " + out + (names.size() > 12 ? ", ..." : "") + "; name one as FILE:NAME:TAG or FILE:@N.";
}

std::string read_manifest(MemberSource& source) {
    if (source.size_of("manifest.json")) return source.read("manifest.json", max_document);
    const std::string& where = source.where();
    if (source.size_of("index.json") || source.size_of("oci-layout"))
        throw Error(Code::not_found, where + " has no manifest.json: it is an OCI archive", "Use oci-archive: for it.");
    if (source.size_of("repositories"))
        throw Error(Code::unsupported,
                    where + " has no manifest.json: it was saved by a Docker older than 1.10 (before 2016)",
                    "Load it into a current Docker or Podman and save it again.");
    throw Error(Code::not_found, where + " has no manifest.json: it is not the output of \"docker save\"",
                "\"docker export\" writes a container's files and not an image; use \"docker save\".");
}

const Item& select(const std::vector<Item>& items, const std::string& ref, std::string& tag, const std::string& where) {
    if (ref.empty()) {
        if (items.size() != 1)
            fail(items.empty() ? Code::not_found : Code::invalid,
                 "Unexpected tar manifest.json: expected 1 item, got " + std::to_string(items.size()),
                 where + what_there_is(items));
        if (!items[0].tags.empty()) tag = items[0].tags[0];
        return items[0];
    }
    if (ref[0] == '@') {
        size_t n = 0;
        bool good = ref.size() > 1 && ref.size() < 9;
        for (char c : ref.substr(1)) {
            good = good && c >= '0' && c <= '9';
            n = n * 10 + static_cast<size_t>(c - '0');
        }
        if (!good)
            throw Error(Code::invalid, "\"" + json::printable(ref) + "\" is not a reference into an archive",
                        "The forms are NAME[:TAG] and @N, where N counts from 0.");
        if (n >= items.size())
            fail(Code::not_found,
                 "Invalid source index " + ref + ", only " + std::to_string(items.size()) + " manifest items available",
                 where + what_there_is(items));
        if (!items[n].tags.empty()) tag = items[n].tags[0];
        return items[n];
    }
    const ImageReference wanted = parse_image_reference(ref);
    if (!wanted.digest.empty())
        throw Error(Code::invalid,
                    "\"" + json::printable(ref) + "\": an archive of \"docker save\" does not know digests",
                    "Name the image by its tag or as @N.");
    for (const Item& item : items)
        for (const std::string& t : item.tags) {
            try {
                if (parse_image_reference(t).text() != wanted.text()) continue;
            } catch (const Error&) {
                continue;  // a tag that is none cannot be the one asked for
            }
            tag = t;
            return item;
        }
    fail(Code::not_found, "Tag \"" + wanted.text() + "\" not found", where + what_there_is(items));
}

// The digest that a member is named by: "blobs/sha256/HEX".
std::string digest_of_name(const std::string& name) {
    const size_t slash = name.rfind('/');
    if (name.substr(0, 6) != "blobs/" || slash <= 6) return {};
    const auto d = Digest::try_parse(name.substr(6, slash - 6) + ":" + name.substr(slash + 1));
    return d ? d->text() : std::string();
}

}  // namespace

ArchivedImage choose_archived_image(MemberSource& source, const std::string& ref, const Wanted& wanted) {
    const std::string& where = source.where();
    const auto items = parse_items(read_manifest(source), where + ": manifest.json");
    std::string tag;
    const Item& item = select(items, ref, tag, where);

    const std::string config_name = clean_member_name(item.config, where + ": manifest.json");
    if (!source.size_of(config_name))
        throw Error(Code::not_found, where + ": the image's config \"" + json::printable(item.config) + "\" is missing",
                    "The archive is incomplete: save the image again.");
    std::string config = source.read(config_name, max_document);
    const std::string config_where = where + ": config \"" + json::printable(config_name) + "\"";
    if (const std::string named = digest_of_name(config_name); !named.empty())
        verify(*Digest::try_parse(named), config, config_where);
    ArchivedImage out{config, hash(Digest::Algorithm::sha256, config), parse_config(config, config_where), {}, tag, {}};
    if (item.layers.size() != out.facts.diff_ids.size())
        throw Error(Code::corrupt, where + ": manifest.json lists " + std::to_string(item.layers.size()) +
                                       " layers and the config " + std::to_string(out.facts.diff_ids.size()) +
                                       " diff_ids");
    for (size_t i = 0; i < item.layers.size(); ++i) {
        ArchivedLayer layer;
        layer.member = clean_member_name(item.layers[i], where + ": manifest.json");
        const auto size = source.size_of(layer.member);
        if (!size)
            throw Error(Code::not_found, where + ": the layer \"" + json::printable(layer.member) + "\" is missing",
                        "The archive is incomplete: save the image again.");
        layer.size = *size;
        layer.diff_id = out.facts.diff_ids[i];
        layer.digest = digest_of_name(layer.member);
        for (const auto& [diff_id, type] : item.layer_types)
            if (diff_id == layer.diff_id) layer.media_type = type;
        out.layers.push_back(std::move(layer));
    }
    std::string warning = check_platform(out.facts.platform, wanted, where);
    if (!warning.empty()) out.warnings.push_back(std::move(warning));
    return out;
}

singularity::Blob describe_layer(const ArchivedImage& image, uint64_t index) {
    if (index >= image.layers.size()) throw Error(Code::not_found, "the image has no layer " + std::to_string(index));
    const ArchivedLayer& l = image.layers[index];
    return {l.media_type.empty() ? std::string(singularity::media_type::docker_layer) : l.media_type,
            l.digest,
            l.diff_id,
            l.size,
            {}};
}

}  // namespace sources
