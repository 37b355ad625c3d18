// The library's objects in the database, and who may see and change them.
#pragma once
#include <optional>

#include "hub/server/json_text.hpp"
#include "hub/service.hpp"

namespace hub {

struct Container {
    std::string id, name, description;
    bool is_private = false;  // it or its collection
    int64_t downloads = 0, created = 0;
    std::string collection, collection_name, entity, entity_name;
    int64_t owner = 0;  // a user who may see it although the entity is another's; 0: nobody
};

struct ImageRow {
    std::string id, hash, description;
    bool uploaded = false;
    int64_t size = 0;
    std::string arch;
    bool encrypted = false, is_signed = false;
    std::string fingerprints;  // with blanks between
    int64_t created = 0;
    std::string container;
    std::string definition;
};

// ENTITY/COLLECTION/NAME:TAG; missing parts are "library", "default" and "latest". Throws HttpError 400.
struct ImageReference {
    std::string entity, collection, container, tag;
    static ImageReference parse(const std::string& text);
    bool by_hash() const;  // the tag is sha256.HEX64
};

bool valid_tag(const std::string& text);   // at most 128 of [A-Za-z0-9_.-], not '.' or '-' first
bool valid_hash(const std::string& text);  // sha256.HEX64

// What Identity `who` may not see throws HttpError 404, as what is not there does; what it may not change 403.
class Library {
public:
    explicit Library(Service& service) : service_(service), db_(service.database) {}

    static bool may_write(const Identity& who, const std::string& entity) { return who.may(scope_write) && (who.admin || who.name == entity); }
    static bool may_see(const Identity& who, bool is_private, const std::string& entity) {
        return !is_private || (who.may(scope_read) && (who.admin || who.name == entity));
    }
    static bool may_see(const Identity& who, const Container& c) {
        return may_see(who, c.is_private, c.entity_name) || (c.owner != 0 && c.owner == who.user && (who.may(scope_read) || who.may(scope_build)));
    }
    static void need_write(const Identity& who, const std::string& entity);

    Container container(const Identity& who, const std::string& entity, const std::string& collection, const std::string& name);
    Container container_by_id(const Identity& who, const std::string& id);
    ImageRow image(const Identity& who, const ImageReference& reference, const std::string& arch, Container& container);
    ImageRow image_by_id(const Identity& who, const std::string& id, Container& container);  // for writing
    void set_tag(const Identity& who, const std::string& container, const std::string& arch, const std::string& tag, const std::string& image);
    void remove_image(const Identity& who, const ImageReference& reference, const std::string& arch);
    void reindex(const std::string& container);
    // The container of that name, made with what it stands in when it is not there; in a new private one `owner` may look too.
    Container make_container(const ImageReference& reference, bool is_private, int64_t owner);
    // The row of an image that is to be uploaded into the container, new or not.
    ImageRow make_image(const Container& container, const std::string& hash, const std::string& description);
    // With its images, and with their files as far as no other image has them.
    void remove_container(const std::string& id);
    // The upload becomes the image's blob. Throws HttpError 400 when its hash is not the image's, or it is no SIF; 413 above the quota.
    void finish(const ImageRow& image, const Container& container, const std::string& upload, const std::string& hash);
    int64_t used_bytes(const std::string& entity);  // each blob counts once
    std::vector<std::string> tags_of(const std::string& image);

    std::string container_json(const Container& c);
    std::string image_json(const ImageRow& i, const Container& c);
    // {"entity", "collection", "container", "image"} for a text of at least three characters.
    std::string search_json(const Identity& who, const std::string& text, const std::string& arch, bool only_signed);
    std::vector<Container> containers(const std::string& where, const std::vector<Value>& values);
    std::vector<ImageRow> images(const std::string& where, const std::vector<Value>& values);

private:
    // Those whose ENTITY/COLLECTION/NAME has `text`, which has a slash, else those whose description has it. `visible`:
    // a condition, whose values are `who`.
    std::vector<Container> by_path(const std::string& text, const std::string& visible, const std::vector<Value>& who);

    Service& service_;
    Database& db_;
};

std::string time_json(int64_t seconds);  // RFC 3339, no quotes

}  // namespace hub
