#include "hub/library/library.hpp"

#include <sys/stat.h>

#include <ctime>

#include "hub/library/sif_facts.hpp"

#include <singularity/error.hpp>

namespace hub {

using singularity::Error;

namespace {

const std::string container_columns =
    "SELECT containers.id, containers.name, containers.description, containers.private OR collections.private, downloads, containers.created, "
    "collections.id, collections.name, entities.id, entities.name, containers.owner FROM containers JOIN collections ON collections.id = collection "
    "JOIN entities ON entities.id = entity ";
const std::string image_columns = "SELECT id, hash, description, uploaded, size, arch, encrypted, signed, fingerprints, created, container, definition FROM images ";
constexpr const char* absent = "there is no such image here";

std::string list_json(const std::string& blank_separated) {
    JsonArray out;
    for (size_t at = 0; at < blank_separated.size();) {
        const size_t end = std::min(blank_separated.find(' ', at), blank_separated.size());
        out.add(blank_separated.substr(at, end - at));
        at = end + 1;
    }
    return out.text();
}

}  // namespace

std::string time_json(int64_t seconds) {
    char text[32];
    const time_t t = seconds;
    tm parts{};
    gmtime_r(&t, &parts);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
    return text;
}

bool valid_tag(const std::string& text) {
    if (text.empty() || text.size() > 128 || text[0] == '.' || text[0] == '-') return false;
    for (const char c : text)
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-')) return false;
    return true;
}

bool valid_hash(const std::string& text) {
    return text.size() == 71 && text.starts_with("sha256.") && text.find_first_not_of("0123456789abcdef", 7) == std::string::npos;
}

ImageReference ImageReference::parse(const std::string& text) {
    ImageReference r{"library", "default", {}, "latest"};
    const size_t colon = text.find(':');
    std::string path = text.substr(0, colon);
    if (colon != std::string::npos) r.tag = text.substr(colon + 1);
    std::vector<std::string> parts(1);
    for (const char c : path)
        if (c == '/') parts.emplace_back();
        else parts.back() += c;
    if (parts.size() > 3) throw HttpError{400, "an image is ENTITY/COLLECTION/NAME:TAG"};
    r.container = parts.back();
    if (parts.size() > 1) r.entity = parts[0];
    if (parts.size() > 2) r.collection = parts[1];
    if (!valid_name(r.entity) || !valid_name(r.collection) || !valid_name(r.container) || !valid_tag(r.tag)) throw HttpError{400, "an image is ENTITY/COLLECTION/NAME:TAG, in small letters"};
    return r;
}

bool ImageReference::by_hash() const { return valid_hash(tag); }

void Library::need_write(const Identity& who, const std::string& entity) {
    if (!who.may(scope_write)) throw HttpError{who ? 403 : 401, "this needs a token with the scope 'write'"};
    if (!may_write(who, entity)) throw HttpError{403, "'" + entity + "' belongs to somebody else"};
}

std::vector<Container> Library::containers(const std::string& where, const std::vector<Value>& values) {
    std::vector<Container> out;
    for (const auto& r : db_.query(container_columns + where, values))
        out.push_back({r.text(0), r.text(1), r.text(2), r.flag(3), r.number(4), r.number(5), r.text(6), r.text(7), r.text(8), r.text(9), r.number(10)});
    return out;
}

std::vector<ImageRow> Library::images(const std::string& where, const std::vector<Value>& values) {
    std::vector<ImageRow> out;
    for (const auto& r : db_.query(image_columns + where, values))
        out.push_back({r.text(0), r.text(1), r.text(2), r.flag(3), r.number(4), r.text(5), r.flag(6), r.flag(7), r.text(8), r.number(9), r.text(10), r.text(11)});
    return out;
}

Container Library::container(const Identity& who, const std::string& entity, const std::string& collection, const std::string& name) {
    const auto found = containers("WHERE entities.name = ? AND collections.name = ? AND containers.name = ?", {entity, collection, name});
    if (found.empty() || !may_see(who, found[0])) throw HttpError{404, absent};
    return found[0];
}

Container Library::container_by_id(const Identity& who, const std::string& id) {
    const auto found = containers("WHERE containers.id = ?", {id});
    if (found.empty() || !may_see(who, found[0])) throw HttpError{404, absent};
    return found[0];
}

ImageRow Library::image(const Identity& who, const ImageReference& r, const std::string& arch, Container& c) {
    c = container(who, r.entity, r.collection, r.container);
    auto found = r.by_hash() ? images("WHERE container = ? AND hash = ?", {c.id, r.tag})
                             : images("WHERE id = (SELECT image FROM tags WHERE container = ? AND tag = ? AND (arch = ? OR ? = '') ORDER BY updated DESC LIMIT 1)", {c.id, r.tag, arch, arch});
    // What is not there whole is its owner's business alone.
    if (found.empty() || (!found[0].uploaded && !may_write(who, c.entity_name))) throw HttpError{404, absent};
    return found[0];
}

ImageRow Library::image_by_id(const Identity& who, const std::string& id, Container& c) {
    const auto found = images("WHERE id = ?", {id});
    if (found.empty()) throw HttpError{404, absent};
    c = container_by_id(who, found[0].container);
    need_write(who, c.entity_name);
    return found[0];
}

void Library::set_tag(const Identity& who, const std::string& id, const std::string& arch, const std::string& tag, const std::string& image) {
    const Container c = container_by_id(who, id);
    need_write(who, c.entity_name);
    if (!valid_tag(tag) || valid_hash(tag)) throw HttpError{400, "a tag has letters, digits, '_', '.' and '-', and is no hash"};
    db_.transaction([&] {
        const auto found = images("WHERE id = ? AND container = ?", {image, id});
        if (found.empty()) throw HttpError{404, absent};
        if (!found[0].uploaded) throw HttpError{409, "the image is not uploaded yet"};
        const std::string& real = found[0].arch.empty() ? arch : found[0].arch;
        if (!arch.empty() && arch != real) throw HttpError{400, "the image is for " + real};
        db_.change("INSERT INTO tags VALUES(?, ?, ?, ?, ?) ON CONFLICT(container, arch, tag) DO UPDATE SET image = excluded.image, updated = excluded.updated", {id, real, tag, image, now()});
        reindex(id);
    });
    service_.accounts.audit(who.name, "tag", c.entity_name + "/" + c.collection_name + "/" + c.name + ":" + tag);
}

void Library::remove_image(const Identity& who, const ImageReference& r, const std::string& arch) {
    Container c;
    db_.transaction([&] {
        const ImageRow i = image(who, r, arch, c);
        need_write(who, c.entity_name);
        if (!r.by_hash()) db_.change("DELETE FROM tags WHERE container = ? AND tag = ? AND image = ?", {c.id, r.tag, i.id});
        if (r.by_hash() || tags_of(i.id).empty()) db_.change("DELETE FROM images WHERE id = ?", {i.id});
        reindex(c.id);
    });
    service_.accounts.audit(who.name, "delete", r.entity + "/" + r.collection + "/" + r.container + ":" + r.tag);
}

void Library::reindex(const std::string& id) {
    const auto found = containers("WHERE containers.id = ?", {id});
    if (found.empty()) return;
    const int64_t row = db_.query("SELECT rowid FROM containers WHERE id = ?", {id}).at(0).number(0);
    db_.change("DELETE FROM search WHERE rowid = ?", {row});
    db_.change("INSERT INTO search(rowid, container, text) VALUES(?, ?, ?)",
               {row, id, found[0].entity_name + "/" + found[0].collection_name + "/" + found[0].name + "\n" + found[0].description});
}

Container Library::make_container(const ImageReference& r, bool is_private, int64_t owner) {
    Container made;
    db_.transaction([&] {
        db_.change("INSERT OR IGNORE INTO entities VALUES(?, ?, '', ?)", {random_hex(12), r.entity, now()});
        const std::string entity = db_.query("SELECT id FROM entities WHERE name = ?", {r.entity}).at(0).text(0);
        db_.change("INSERT OR IGNORE INTO collections VALUES(?, ?, ?, '', 0, ?)", {random_hex(12), entity, r.collection, now()});
        const std::string collection = db_.query("SELECT id FROM collections WHERE entity = ? AND name = ?", {entity, r.collection}).at(0).text(0);
        db_.change("INSERT OR IGNORE INTO containers(id, collection, name, description, private, created, owner) VALUES(?, ?, ?, '', ?, ?, ?)",
                   {random_hex(12), collection, r.container, int64_t{is_private}, now(), owner});
        made = containers("WHERE collections.id = ? AND containers.name = ?", {collection, r.container}).at(0);
        reindex(made.id);
    });
    return made;
}

ImageRow Library::make_image(const Container& c, const std::string& hash, const std::string& description) {
    db_.change("INSERT OR IGNORE INTO images(id, container, hash, description, created) VALUES(?, ?, ?, ?, ?)", {random_hex(12), c.id, hash, description, now()});
    return images("WHERE container = ? AND hash = ?", {c.id, hash}).at(0);
}

void Library::remove_container(const std::string& id) {
    // In the write lock, as the collection of garbage: an upload becomes a blob, and its image's row is written, in one such transaction.
    db_.transaction([&] {
        const auto gone = images("WHERE container = ?", {id});
        db_.change("DELETE FROM search WHERE rowid = (SELECT rowid FROM containers WHERE id = ?)", {id});
        db_.change("DELETE FROM containers WHERE id = ?", {id});
        for (const auto& i : gone)
            if (db_.query("SELECT 1 FROM images WHERE hash = ? AND uploaded = 1", {i.hash}).empty()) service_.blobs->remove(i.hash.substr(7));
    });
}

int64_t Library::used_bytes(const std::string& entity) {
    return db_.query("SELECT COALESCE(SUM(size), 0) FROM (SELECT DISTINCT images.hash, images.size FROM images JOIN containers ON containers.id = container "
                     "JOIN collections ON collections.id = collection WHERE entity = ? AND uploaded = 1)", {entity}).at(0).number(0);
}

std::vector<std::string> Library::tags_of(const std::string& image) {
    std::vector<std::string> out;
    for (const auto& r : db_.query("SELECT tag FROM tags WHERE image = ? ORDER BY tag", {image})) out.push_back(r.text(0));
    return out;
}

void Library::finish(const ImageRow& i, const Container& c, const std::string& upload, const std::string& hash) {
    // The file first: on a full disk the database can be changed only when it has gone.
    const auto drop = [&] {
        service_.blobs->remove_upload(upload);
        try {
            db_.change("DELETE FROM uploads WHERE id = ?", {upload});
        } catch (const Error&) {  // it ends with its time
        }
    };
    try {
        if ("sha256." + hash != i.hash) throw HttpError{400, "the uploaded bytes have the hash sha256." + hash + ", not the image's " + i.hash};
        SifFacts facts;
        struct stat s {};
        {
            const File file = service_.blobs->open_upload(upload);
            if (::fstat(file.fd(), &s) != 0) throw HttpError{500, "the upload cannot be read"};
            facts = sif_facts(file.fd());
        }
        std::string prints;
        for (const auto& p : facts.fingerprints) prints += (prints.empty() ? "" : " ") + p;
        db_.transaction([&] {
            const auto quota = db_.query("SELECT quota FROM users WHERE name = ?", {c.entity_name});
            const int64_t most = quota.empty() ? 0 : quota[0].number(0);
            if (most > 0 && used_bytes(c.entity) + s.st_size > most) throw HttpError{413, "the quota of '" + c.entity_name + "' is " + std::to_string(most) + " bytes, and the image does not fit in"};
            service_.blobs->commit(upload, hash);
            db_.change("UPDATE images SET uploaded = 1, size = ?, arch = ?, encrypted = ?, signed = ?, fingerprints = ?, definition = ? WHERE id = ?",
                       {int64_t{s.st_size}, facts.arch, int64_t{facts.encrypted}, int64_t{facts.is_signed}, prints, facts.definition, i.id});
            db_.change("DELETE FROM uploads WHERE id = ?", {upload});
        });
    } catch (...) {
        drop();
        throw;
    }
}

std::string Library::container_json(const Container& c) {
    JsonArray ids;
    JsonObject newest, arches;
    std::string arch;
    JsonObject of_arch;
    bool first = true;
    for (const auto& r : db_.query("SELECT id FROM images WHERE container = ? AND uploaded = 1", {c.id})) ids.add(r.text(0));
    for (const auto& r : db_.query("SELECT tag, image, MAX(updated) FROM tags WHERE container = ? GROUP BY tag", {c.id})) newest.add(r.text(0), r.text(1));
    for (const auto& r : db_.query("SELECT arch, tag, image FROM tags WHERE container = ? ORDER BY arch, tag", {c.id})) {
        if (!first && r.text(0) != arch) arches.raw(arch, of_arch.text()), of_arch = {};
        arch = r.text(0), first = false;
        of_arch.add(r.text(1), r.text(2));
    }
    if (!first) arches.raw(arch, of_arch.text());
    return JsonObject().add("id", c.id).add("name", c.name).add("description", c.description).add("fullDescription", "").add("collection", c.collection)
        .raw("images", ids.text()).raw("imageTags", newest.text()).raw("archTags", arches.text()).add("downloadCount", c.downloads).add("stars", 0)
        .add("private", c.is_private).add("readOnly", false).add("deleted", false).add("createdAt", time_json(c.created)).add("createdBy", c.entity_name).add("owner", c.entity_name)
        .add("entity", c.entity).add("entityName", c.entity_name).add("collectionName", c.collection_name).text();
}

std::string Library::image_json(const ImageRow& i, const Container& c) {
    JsonArray tags;
    for (const auto& t : tags_of(i.id)) tags.add(t);
    return JsonObject().add("id", i.id).add("hash", i.hash).add("description", i.description).add("container", i.container).add("size", i.size).add("uploaded", i.uploaded)
        .add("signed", i.is_signed).add("arch", i.arch).raw("fingerprints", list_json(i.fingerprints)).add("encrypted", i.encrypted).add("deleted", false)
        .add("createdAt", time_json(i.created)).add("createdBy", c.entity_name).add("owner", c.entity_name).add("entity", c.entity).add("entityName", c.entity_name)
        .add("collection", c.collection).add("collectionName", c.collection_name).add("containerName", c.name).raw("tags", tags.text())
        .add("containerDescription", c.description).add("containerStars", 0).add("containerDownloads", c.downloads).text();
}

std::vector<Container> Library::by_path(const std::string& text, const std::string& visible,
                                        const std::vector<Value>& who) {
    std::string lower = text;
    for (char& c : lower)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    std::vector<std::string> parts(1);
    for (const char c : lower)
        if (c == '/')
            parts.emplace_back();
        else
            parts.back() += c;
    std::vector<Container> found;
    const auto look = [&](const std::string& where, std::vector<Value> values) {
        if (!found.empty()) return;
        values.insert(values.end(), who.begin(), who.end());
        found = containers("WHERE " + where + " AND " + visible, values);
    };
    // Names are ASCII. Subqueries, so that each level is looked up in the one above and not the other way round.
    static const std::string is = "name = ?", begins = "name >= ? AND name < ?", ends = "substr(name, -length(?)) = ?";
    const auto after = [](const std::string& part) { return part + "\x7f"; };
    const auto in_entities = [](const std::string& entity, const std::string& collection) {
        return "collection IN (SELECT id FROM collections WHERE entity IN (SELECT id FROM entities WHERE " + entity +
               ") AND " + collection + ")";
    };
    const auto& first = parts[0];
    if (parts.size() == 3) {
        const std::string named = " AND containers.name >= ? AND containers.name < ?";
        // Who types a path from its beginning means that one.
        look(in_entities(is, is) + named, {first, parts[1], parts[2], after(parts[2])});
        if (first.empty())
            look(in_entities("1", is) + named, {parts[1], parts[2], after(parts[2])});
        else
            look(in_entities(ends, is) + named, {first, first, parts[1], parts[2], after(parts[2])});
    } else if (parts.size() == 2) {
        const std::string named = "containers.name >= ? AND containers.name < ?";
        look(in_entities(is, begins), {first, parts[1], after(parts[1])});
        if (first.empty()) {
            look(in_entities("1", begins), {parts[1], after(parts[1])});
            look(in_entities("1", "1") + " AND " + named, {parts[1], after(parts[1])});
        } else {
            look(in_entities(ends, begins), {first, first, parts[1], after(parts[1])});
            look("collection IN (SELECT id FROM collections WHERE " + ends + ") AND " + named,
                 {first, first, parts[1], after(parts[1])});
        }
    }
    look(
        "containers.rowid IN (SELECT rowid FROM containers WHERE instr(description, '/') > 0 AND "
        "instr(lower(description), ?) > 0)",
        {lower});
    return found;
}

std::string Library::search_json(const Identity& who, const std::string& text, const std::string& arch, bool only_signed) {
    if (text.size() < 3 || text.size() > 200) throw HttpError{400, "a search has between 3 and 200 characters"};
    std::string quoted = "\"";
    for (const char c : text) quoted += c == '"' ? "\"\"" : std::string(1, c);
    quoted += "\"";
    JsonArray found_containers, found_images;
    const bool reads = who.may(scope_read);
    const std::string visible = "(NOT (containers.private OR collections.private) OR entities.name = ? OR ?) LIMIT 200";
    const std::string name = reads ? who.name : "";
    const int64_t all = reads && who.admin;
    std::vector<Container> found;
    // The letters of a path stand in every other path too: the index of texts would be slow.
    if (text.find('/') != std::string::npos)
        found = by_path(text, visible, {name, all});
    else
        found = containers("JOIN search ON search.rowid = containers.rowid WHERE search MATCH ? AND " + visible,
                           {quoted, name, all});
    for (const auto& c : found) {
        bool any = false;
        for (const auto& i : images("WHERE container = ? AND uploaded = 1 AND (arch = ? OR ? = '') AND signed >= ? AND id IN (SELECT image FROM tags WHERE tags.container = images.container)",
                                    {c.id, arch, arch, int64_t{only_signed}})) {
            found_images.raw(image_json(i, c));
            any = true;
        }
        if (any) found_containers.raw(container_json(c));
    }
    return JsonObject().raw("entity", "[]").raw("collection", "[]").raw("container", found_containers.text()).raw("image", found_images.text()).text();
}

}  // namespace hub
