#include "hub/library/uploads.hpp"

#include <fcntl.h>
#include <openssl/evp.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <istream>

#include <singularity/digest.hpp>

namespace hub {

using singularity::Code;
using singularity::Digest;
using singularity::Error;

namespace {

constexpr int64_t lifetime = 24 * 3600, usual_part = 64 << 20, kept_free = 64 << 20;

void write_all(int fd, const char* bytes, size_t size, int64_t at) {
    while (size > 0) {
        const ssize_t n = ::pwrite(fd, bytes, size, static_cast<off_t>(at));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) throw Error(errno == ENOSPC || errno == EDQUOT ? Code::no_space : Code::io, std::string("cannot keep an upload: ") + std::strerror(errno));
        bytes += n;
        size -= static_cast<size_t>(n);
        at += n;
    }
}

}  // namespace

std::string body_to_file(Request& request, int fd, int64_t at, int64_t size) {
    if (!request.http.hasContentLength()) throw HttpError{411, "an upload says its length"};
    if (request.http.getContentLength64() != size) throw HttpError{400, "the body has " + std::to_string(request.http.getContentLength64()) + " bytes instead of " + std::to_string(size)};
    const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> hash(EVP_MD_CTX_new(), EVP_MD_CTX_free);
    EVP_DigestInit_ex(hash.get(), EVP_sha256(), nullptr);
    std::vector<char> buffer(256 << 10);
    static const std::vector<char> zeros(buffer.size());
    auto& in = request.http.stream();
    int64_t done = 0, end = -1;  // end: of a hole that the file does not reach over yet
    while (done < size) {
        in.read(buffer.data(), static_cast<std::streamsize>(std::min<int64_t>(static_cast<int64_t>(buffer.size()), size - done)));
        const auto n = in.gcount();
        if (n <= 0) throw HttpError{400, "the body ends early"};
        EVP_DigestUpdate(hash.get(), buffer.data(), static_cast<size_t>(n));
        if (n == static_cast<std::streamsize>(buffer.size()) && std::memcmp(buffer.data(), zeros.data(), buffer.size()) == 0 &&
            ::fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(at + done), static_cast<off_t>(n)) == 0) {
            end = at + done + n;  // a hole stays a hole
        } else {
            write_all(fd, buffer.data(), static_cast<size_t>(n), at + done);
            end = -1;
        }
        done += n;
    }
    if (end > 0) write_all(fd, "", 1, end - 1);  // not by ftruncate(2): another part may lie behind
    if (::fdatasync(fd) != 0) throw Error(Code::io, std::string("cannot keep an upload: ") + std::strerror(errno));
    unsigned char out[32];
    EVP_DigestFinal_ex(hash.get(), out, nullptr);
    const std::string hex = Digest::of_bytes(Digest::Algorithm::sha256, out, sizeof out).hex();
    const std::string claimed = request.http.get("x-amz-content-sha256", "");
    if (claimed.size() == 64 && claimed != hex) throw HttpError{400, "the bytes have the hash " + hex + " instead of the one given"};
    return hex;
}

Uploads::Use::Use(Uploads& u, std::string i, bool a) : uploads(u), id(std::move(i)), alone(a) {
    const std::scoped_lock lock(u.mutex_);
    int& count = u.in_use_[id];
    if (count < 0 || (alone && count > 0)) throw HttpError{409, "the upload is in use by another request"};
    count = alone ? -1 : count + 1;
}

Uploads::Use::~Use() {
    const std::scoped_lock lock(uploads.mutex_);
    int& count = uploads.in_use_[id];
    count = alone ? 0 : count - 1;
    if (count == 0) uploads.in_use_.erase(id);
}

Uploads::Begun Uploads::begin(const ImageRow& image, uint64_t size, bool in_parts) {
    if (image.uploaded) throw HttpError{409, "the image is uploaded already"};
    if (size == 0 || size > uint64_t{1} << 44) throw HttpError{400, "an image has between 1 byte and 16 TiB"};
    if (size + kept_free > service_.blobs->free_bytes()) throw HttpError{507, "the hub's disk has no room for the image"};
    const auto bytes = static_cast<int64_t>(size);
    const int64_t part = in_parts ? std::max(usual_part, (bytes + most_parts - 1) / most_parts) : bytes;
    Begun begun{random_hex(12), (bytes + part - 1) / part, part};
    service_.database.change("INSERT INTO uploads VALUES(?, ?, ?, ?, ?)", {begun.id, image.id, bytes, part, now() + lifetime});
    return begun;
}

std::string Uploads::url(const std::string& base, const std::string& upload, int64_t part) const {
    const std::string name = upload + "." + std::to_string(part) + "." + std::to_string(now() + lifetime);
    return base + "/upload/" + sealed(service_.secret, name);
}

std::string Uploads::receive(const std::string& signed_name, Request& request) {
    const auto name_of = opened(service_.secret, signed_name);
    if (!name_of) throw HttpError{403, "this is no upload address of this hub"};
    const std::string& name = *name_of;
    const size_t dot = name.find('.'), second = name.rfind('.');
    if (std::strtoll(name.c_str() + second + 1, nullptr, 10) < now()) throw HttpError{403, "the time of this upload address is over"};
    const std::string id = name.substr(0, dot);
    const int64_t part = std::strtoll(name.c_str() + dot + 1, nullptr, 10);
    const Use use(*this, id, false);
    const auto rows = service_.database.query("SELECT size, part_size FROM uploads WHERE id = ?", {id});
    if (rows.empty()) throw HttpError{404, "the upload has ended"};
    const int64_t size = rows[0].number(0), part_size = rows[0].number(1), at = (part - 1) * part_size;
    const File file = service_.blobs->open_upload(id);
    const std::string hash = body_to_file(request, file.fd(), at, std::min(part_size, size - at));
    service_.database.change("INSERT OR REPLACE INTO parts VALUES(?, ?, ?)", {id, part, hash});
    return hash;
}

void Uploads::receive_whole(const ImageRow& image, const Container& container, Request& request) {
    if (!request.http.hasContentLength()) throw HttpError{411, "an upload says its length"};
    const auto begun = begin(image, static_cast<uint64_t>(std::max<int64_t>(request.http.getContentLength64(), 0)), false);
    std::string hash;
    try {
        const File file = service_.blobs->open_upload(begun.id);
        hash = body_to_file(request, file.fd(), 0, begun.part_size);
    } catch (...) {
        drop(begun.id);
        throw;
    }
    library_.finish(image, container, begun.id, hash);
}

// The file first: on a full disk the database can be changed only when it has gone. What stays of the row is garbage.
void Uploads::drop(const std::string& upload) {
    service_.blobs->remove_upload(upload);
    try {
        service_.database.change("DELETE FROM uploads WHERE id = ?", {upload});
    } catch (const Error&) {
    }
}

void Uploads::complete(const ImageRow& image, const Container& container, const std::string& upload, const std::map<int64_t, std::string>& tokens) {
    const Use use(*this, upload, true);
    const auto rows = service_.database.query("SELECT size, part_size FROM uploads WHERE id = ? AND image = ?", {upload, image.id});
    if (rows.empty()) throw HttpError{404, "there is no such upload"};
    const int64_t parts = (rows[0].number(0) + rows[0].number(1) - 1) / rows[0].number(1);
    std::map<int64_t, std::string> there;
    for (const auto& r : service_.database.query("SELECT number, hash FROM parts WHERE upload = ?", {upload})) there[r.number(0)] = r.text(1);
    if (static_cast<int64_t>(there.size()) != parts) throw HttpError{400, "the upload has " + std::to_string(there.size()) + " of " + std::to_string(parts) + " parts"};
    for (const auto& [number, token] : tokens)
        if (!there.contains(number) || (token != there[number] && token != "\"" + there[number] + "\"")) throw HttpError{400, "part " + std::to_string(number) + " is not the one that was uploaded"};
    std::string hash;
    {
        const File file = service_.blobs->open_upload(upload);
        hash = parts == 1 ? there[1] : file_sha256(file.fd());
    }
    library_.finish(image, container, upload, hash);
}

void Uploads::abort(const ImageRow& image, const std::string& upload) {
    const Use use(*this, upload, true);
    if (service_.database.change("DELETE FROM uploads WHERE id = ? AND image = ?", {upload, image.id}) == 0) throw HttpError{404, "there is no such upload"};
    service_.blobs->remove_upload(upload);
}

std::string Uploads::newest_of(const ImageRow& image) {
    const auto rows = service_.database.query("SELECT id FROM uploads WHERE image = ? ORDER BY expires DESC, rowid DESC LIMIT 1", {image.id});
    if (rows.empty()) throw HttpError{404, "there is no such upload"};
    return rows[0].text(0);
}

}  // namespace hub
