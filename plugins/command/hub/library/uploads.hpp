// Bytes on their way in: whole, or in parts that may come in any order and again.
#pragma once
#include <map>
#include <mutex>

#include "hub/library/library.hpp"

namespace hub {

// Exactly `size` bytes of the body to `at` of the file, on the disk when it returns; their hash in hex.
std::string body_to_file(Request& request, int fd, int64_t at, int64_t size);

class Uploads {
public:
    static constexpr int64_t most_parts = 10000;
    Uploads(Service& service, Library& library) : service_(service), library_(library) {}

    struct Begun {
        std::string id;
        int64_t parts, part_size;
    };
    Begun begin(const ImageRow& image, uint64_t size, bool in_parts);
    // A URL that takes one PUT of that part for 24 hours, without a token.
    std::string url(const std::string& base, const std::string& upload, int64_t part) const;
    // The answer to a PUT there: the hash of the part in hex.
    std::string receive(const std::string& signed_name, Request& request);
    // In one go (API v1): begin, receive, finish.
    void receive_whole(const ImageRow& image, const Container& container, Request& request);
    // `tokens`: of the parts, by number; empty = not compared.
    void complete(const ImageRow& image, const Container& container, const std::string& upload, const std::map<int64_t, std::string>& tokens);
    void abort(const ImageRow& image, const std::string& upload);
    std::string newest_of(const ImageRow& image);  // throws HttpError 404

private:
    void drop(const std::string& upload);
    // Writers of an upload; while it is completed there is none, for what is hashed must not change after.
    struct Use {
        Uploads& uploads;
        std::string id;
        bool alone;
        Use(Uploads& u, std::string i, bool a);
        ~Use();
    };
    Service& service_;
    Library& library_;
    std::mutex mutex_;
    std::map<std::string, int> in_use_;  // -1: alone
};

}  // namespace hub
