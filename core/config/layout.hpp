// The bytes of the compiled index. All numbers little-endian as the machine has them (another byte order
// reads a wrong version), rows of 32-bit words, 64-bit numbers as two words, low first.
//
//   header | tables, each rows * width words | pool of texts
//   text: a word offset into the pool: length word, bytes, NUL
#pragma once
#include <cstdint>

namespace sg::layout {

inline constexpr char magic[8] = {'S', 'G', 'I', 'N', 'D', 'E', 'X', '\n'};
inline constexpr uint32_t version = 5;  // grows with every change below
inline constexpr uint64_t max_size = 256u << 20;

enum Table : uint32_t {
    strings,        // text
    files,          // path kind inode(2) size(2) mtime_ns(2)
    warnings,       // text
    keys,           // name doc type plugin-name initial(2) values(2) choices(2) layer file line lock_file lock_line places
    variables,      // name key; sorted by name
    plugins,        // name version summary manifest object registered_in line abi active why
    plugin_names,   // plugin; sorted by name, active ones first among equals
    capabilities,   // kind name plugin line summary example flags words(2) selected_by selected_short magics(2) commands(2)
    lookup,         // capability; those that can be found, sorted by kind and name
    magics,         // offset(2) bytes
    options,        // long short type variable help plugin-name verbs(2) takes_over
    commands,       // verb summary usage example options(2) hidden
    verb_options,   // verb option; sorted by verb
    areas,          // area title plugin-name order(2); sorted
    absent,         // scheme message; sorted by scheme
    places,         // file line; as many for a list key as it has values
    table_count
};

inline constexpr uint32_t widths[table_count] = {1, 8, 1, 16, 2, 10, 1, 15, 1, 3, 9, 7, 2, 5, 2, 2};

enum Flag : uint32_t {
    publishes = 1,
    searches = 2,
    deletes = 4,
    directory = 8,
    standard = 16,
    shadowed = 32,
    plain_paths = 64,
    remote = 128,
    hidden = 256,
    wants_digest = 512,
    wants_signers = 1024
};

struct TableHeader {
    uint32_t offset, rows;
};

struct Header {
    char magic[8];
    uint32_t version;
    uint32_t size;      // of this header
    uint64_t total;     // bytes of the whole
    uint64_t checksum;  // XXH3-64 of everything after this member
    uint32_t stamp;     // text
    uint32_t pool_offset, pool_size;
    uint32_t reserved;
    TableHeader tables[table_count];
};

}  // namespace sg::layout
