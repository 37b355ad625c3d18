#include "hub/store/database.hpp"

#include <sqlite3.h>

#include <cstdlib>
#include <memory>

#include <singularity/error.hpp>

namespace hub {

using singularity::Code;
using singularity::Error;

namespace {

constexpr size_t most_statements = 256;  // the texts are ours, so they are few

struct Reset {
    void operator()(sqlite3_stmt* s) const {
        sqlite3_reset(s);
        sqlite3_clear_bindings(s);
    }
};

[[noreturn]] void fail(sqlite3* db, const std::string& file) {
    const int code = sqlite3_errcode(db) & 0xff;
    const std::string why = sqlite3_errmsg(db);
    switch (code) {
        case SQLITE_FULL: throw Error(Code::no_space, "cannot write to the database '" + file + "': " + why);
        case SQLITE_CORRUPT:
        case SQLITE_NOTADB: throw Error(Code::corrupt, "the database '" + file + "' is damaged: " + why, "see: singularity hub check; then put the backup back");
        case SQLITE_BUSY:
        case SQLITE_LOCKED: throw Error(Code::timeout, "the database '" + file + "' is locked by another program: " + why);
        case SQLITE_CONSTRAINT: throw Error(Code::exists, "the database '" + file + "' refuses: " + why);
        default: throw Error(Code::io, "the database '" + file + "': " + why);
    }
}

}  // namespace

int64_t Row::number(size_t column) const { return std::strtoll(columns_.at(column).c_str(), nullptr, 10); }

Database::Database(const std::string& file) : file_(file) {
    if (sqlite3_open_v2(file.c_str(), &db_, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr) != SQLITE_OK) {
        const std::string why = db_ ? sqlite3_errmsg(db_) : "out of memory";
        sqlite3_close(db_);
        throw Error(Code::io, "cannot open the database '" + file + "': " + why);
    }
    try {
        sqlite3_extended_result_codes(db_, 1);
        sqlite3_busy_timeout(db_, 10000);
        query("PRAGMA journal_mode = WAL");
        query("PRAGMA synchronous = FULL");
        query("PRAGMA foreign_keys = ON");
        migrate();
    } catch (...) {
        for (const auto& [sql, statement] : statements_) sqlite3_finalize(statement);
        sqlite3_close(db_);
        throw;
    }
}

Database::~Database() {
    for (const auto& [sql, statement] : statements_) sqlite3_finalize(statement);
    sqlite3_close(db_);
}

sqlite3_stmt* Database::prepared(const std::string& sql) {
    if (const auto it = statements_.find(sql); it != statements_.end()) return it->second;
    if (statements_.size() >= most_statements) {
        for (const auto& [text, statement] : statements_) sqlite3_finalize(statement);
        statements_.clear();
    }
    sqlite3_stmt* raw = nullptr;
    if (sqlite3_prepare_v3(db_, sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT, &raw, nullptr) != SQLITE_OK) fail(db_, file_);
    return statements_[sql] = raw;
}

void Database::migrate() {
    transaction([&] {
        const auto version = static_cast<size_t>(query("PRAGMA user_version").at(0).number(0));
        const auto& scripts = schema_versions();
        if (version > scripts.size())
            throw Error(Code::corrupt, "the database '" + file_ + "' was made by a later version of the hub (schema " + std::to_string(version) + ", this one knows " + std::to_string(scripts.size()) + ")");
        for (size_t i = version; i < scripts.size(); ++i) {
            if (sqlite3_exec(db_, scripts[i], nullptr, nullptr, nullptr) != SQLITE_OK) fail(db_, file_);
            query("PRAGMA user_version = " + std::to_string(i + 1));
        }
    });
}

std::vector<Row> Database::query(const std::string& sql, const std::vector<Value>& values) {
    const std::scoped_lock lock(mutex_);
    sqlite3_stmt* raw = prepared(sql);
    const std::unique_ptr<sqlite3_stmt, Reset> statement(raw);
    int at = 0;
    for (const auto& value : values) {
        ++at;
        const int code = std::holds_alternative<int64_t>(value)
                             ? sqlite3_bind_int64(raw, at, std::get<int64_t>(value))
                             : sqlite3_bind_text(raw, at, std::get<std::string>(value).data(), static_cast<int>(std::get<std::string>(value).size()), SQLITE_STATIC);
        if (code != SQLITE_OK) fail(db_, file_);
    }
    std::vector<Row> rows;
    for (;;) {
        const int code = sqlite3_step(raw);
        if (code == SQLITE_DONE) return rows;
        if (code != SQLITE_ROW) fail(db_, file_);
        std::vector<std::string> columns;
        for (int i = 0; i < sqlite3_column_count(raw); ++i) {
            const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(raw, i));
            columns.emplace_back(text ? text : "", text ? static_cast<size_t>(sqlite3_column_bytes(raw, i)) : 0);
        }
        rows.emplace_back(std::move(columns));
    }
}

int64_t Database::change(const std::string& sql, const std::vector<Value>& values) {
    const std::scoped_lock lock(mutex_);
    query(sql, values);
    return sqlite3_changes64(db_);
}

void Database::transaction(const std::function<void()>& work) {
    const std::scoped_lock lock(mutex_);
    if (depth_ > 0) return work();
    query("BEGIN IMMEDIATE");
    ++depth_;
    try {
        work();
        query("COMMIT");
    } catch (...) {
        --depth_;
        if (!sqlite3_get_autocommit(db_)) sqlite3_exec(db_, "ROLLBACK", nullptr, nullptr, nullptr);
        throw;
    }
    --depth_;
}

std::vector<std::string> Database::damage() {
    std::vector<std::string> out;
    for (const auto& row : query("PRAGMA integrity_check"))
        if (row.text(0) != "ok") out.push_back(row.text(0));
    for (const auto& row : query("PRAGMA foreign_key_check")) out.push_back("row " + row.text(1) + " of table " + row.text(0) + " belongs to nothing in " + row.text(2));
    return out;
}

}  // namespace hub
