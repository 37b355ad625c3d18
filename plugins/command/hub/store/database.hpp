// The embedded database: SQLite in WAL mode, one connection per process.
#pragma once
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

struct sqlite3;
struct sqlite3_stmt;

namespace hub {

using Value = std::variant<int64_t, std::string>;

class Row {
public:
    explicit Row(std::vector<std::string> columns) : columns_(std::move(columns)) {}
    const std::string& text(size_t column) const { return columns_.at(column); }  // "" for NULL
    int64_t number(size_t column) const;                                           // 0 for NULL
    bool flag(size_t column) const { return number(column) != 0; }

private:
    std::vector<std::string> columns_;
};

// Any thread; calls wait for each other. What a call has done is on the disk when it returns (synchronous = FULL).
class Database {
public:
    // Opens or makes the file, and brings its schema up to date. Throws Code::corrupt for a damaged one or one of a later version.
    explicit Database(const std::string& file);
    Database(const Database&) = delete;
    Database& operator=(const Database&) = delete;
    ~Database();

    std::vector<Row> query(const std::string& sql, const std::vector<Value>& values = {});
    // As query, for statements that give nothing; the number of rows that changed.
    int64_t change(const std::string& sql, const std::vector<Value>& values = {});
    // All that `work` does happens or, when it throws, nothing. Holds the write lock against other processes too. May be nested.
    void transaction(const std::function<void()>& work);
    // What `PRAGMA integrity_check` and `foreign_key_check` find; empty when all is well.
    std::vector<std::string> damage();

private:
    void migrate();
    sqlite3_stmt* prepared(const std::string& sql);
    std::recursive_mutex mutex_;
    sqlite3* db_ = nullptr;
    std::string file_;
    int depth_ = 0;
    std::unordered_map<std::string, sqlite3_stmt*> statements_;  // compiled once: that takes longer than most of them run
};

// The schema, one script per version; what stands here once is never changed, only followed by more (schema.cpp).
const std::vector<const char*>& schema_versions();

}  // namespace hub
