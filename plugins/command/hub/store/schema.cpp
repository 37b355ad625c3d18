#include "hub/store/database.hpp"

namespace hub {

const std::vector<const char*>& schema_versions() {
    static const std::vector<const char*> versions = {
        R"(
        CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL);
        CREATE TABLE users(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, password TEXT NOT NULL, admin INTEGER NOT NULL,
            disabled INTEGER NOT NULL DEFAULT 0, quota INTEGER NOT NULL DEFAULT 0, created INTEGER NOT NULL);
        CREATE TABLE tokens(id TEXT PRIMARY KEY, user INTEGER NOT NULL REFERENCES users(id) ON DELETE CASCADE, name TEXT NOT NULL,
            hash TEXT NOT NULL UNIQUE, scopes INTEGER NOT NULL, created INTEGER NOT NULL, expires INTEGER NOT NULL);
        CREATE TABLE sessions(hash TEXT PRIMARY KEY, user INTEGER NOT NULL REFERENCES users(id) ON DELETE CASCADE,
            csrf TEXT NOT NULL, expires INTEGER NOT NULL);
        CREATE TABLE audit(id INTEGER PRIMARY KEY, time INTEGER NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL, object TEXT NOT NULL);

        CREATE TABLE entities(id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, description TEXT NOT NULL, created INTEGER NOT NULL);
        CREATE TABLE collections(id TEXT PRIMARY KEY, entity TEXT NOT NULL REFERENCES entities(id), name TEXT NOT NULL,
            description TEXT NOT NULL, private INTEGER NOT NULL, created INTEGER NOT NULL, UNIQUE(entity, name));
        CREATE TABLE containers(id TEXT PRIMARY KEY, collection TEXT NOT NULL REFERENCES collections(id), name TEXT NOT NULL,
            description TEXT NOT NULL, private INTEGER NOT NULL, downloads INTEGER NOT NULL DEFAULT 0, created INTEGER NOT NULL,
            UNIQUE(collection, name));
        CREATE TABLE images(id TEXT PRIMARY KEY, container TEXT NOT NULL REFERENCES containers(id) ON DELETE CASCADE,
            hash TEXT NOT NULL, description TEXT NOT NULL, uploaded INTEGER NOT NULL DEFAULT 0, size INTEGER NOT NULL DEFAULT 0,
            arch TEXT NOT NULL DEFAULT '', encrypted INTEGER NOT NULL DEFAULT 0, fingerprints TEXT NOT NULL DEFAULT '',
            signed INTEGER NOT NULL DEFAULT 0, definition TEXT NOT NULL DEFAULT '', created INTEGER NOT NULL, UNIQUE(container, hash));
        CREATE INDEX images_by_hash ON images(hash);
        CREATE TABLE tags(container TEXT NOT NULL REFERENCES containers(id) ON DELETE CASCADE, arch TEXT NOT NULL, tag TEXT NOT NULL,
            image TEXT NOT NULL REFERENCES images(id) ON DELETE CASCADE, updated INTEGER NOT NULL, PRIMARY KEY(container, arch, tag));
        CREATE INDEX tags_by_image ON tags(image);
        CREATE TABLE uploads(id TEXT PRIMARY KEY, image TEXT NOT NULL REFERENCES images(id) ON DELETE CASCADE, size INTEGER NOT NULL,
            part_size INTEGER NOT NULL, expires INTEGER NOT NULL);
        CREATE TABLE parts(upload TEXT NOT NULL REFERENCES uploads(id) ON DELETE CASCADE, number INTEGER NOT NULL, hash TEXT NOT NULL,
            PRIMARY KEY(upload, number));
        CREATE VIRTUAL TABLE search USING fts5(container UNINDEXED, text, tokenize = 'trigram');

        CREATE TABLE keys(fingerprint TEXT PRIMARY KEY, armour TEXT NOT NULL, listing TEXT NOT NULL, users TEXT NOT NULL, updated INTEGER NOT NULL);
        CREATE TABLE key_ids(id TEXT NOT NULL, fingerprint TEXT NOT NULL REFERENCES keys(fingerprint) ON DELETE CASCADE, PRIMARY KEY(id, fingerprint));
    )",
        // Builds. An owner may see a private container of another's entity: results that are kept for a day.
        R"(
        ALTER TABLE containers ADD COLUMN owner INTEGER NOT NULL DEFAULT 0;
        CREATE TABLE contexts(id TEXT PRIMARY KEY, user INTEGER NOT NULL REFERENCES users(id) ON DELETE CASCADE, digest TEXT NOT NULL,
            size INTEGER NOT NULL, uploaded INTEGER NOT NULL DEFAULT 0, expires INTEGER NOT NULL, UNIQUE(user, digest));
        CREATE TABLE builds(id TEXT PRIMARY KEY, user INTEGER NOT NULL REFERENCES users(id) ON DELETE CASCADE, state TEXT NOT NULL,
            run TEXT NOT NULL DEFAULT '', cancelled INTEGER NOT NULL DEFAULT 0, definition TEXT NOT NULL, directory TEXT NOT NULL, context TEXT NOT NULL,
            reference TEXT NOT NULL, temporary INTEGER NOT NULL, base TEXT NOT NULL, message TEXT NOT NULL DEFAULT '',
            image TEXT NOT NULL DEFAULT '', size INTEGER NOT NULL DEFAULT 0, checksum TEXT NOT NULL DEFAULT '',
            submitted INTEGER NOT NULL, started INTEGER NOT NULL DEFAULT 0, completed INTEGER NOT NULL DEFAULT 0);
        CREATE INDEX builds_by_state ON builds(state);
        CREATE INDEX builds_by_user ON builds(user, submitted);
    )",
        // How many builds count on a context: equal ones are kept once.
        R"(
        ALTER TABLE contexts ADD COLUMN claims INTEGER NOT NULL DEFAULT 1;
    )",
        // Searches for a text with a slash: paths are compared part by part, and these are the others that may have it.
        R"(
        CREATE INDEX containers_described_with_slash ON containers(id) WHERE instr(description, '/') > 0;
    )"};
    return versions;
}

}  // namespace hub
