// From method and path to the function that answers.
//
//     router.add("GET", "/v1/entities/{name}", Access::open, [&](Request& request, Reply& reply) {
//         reply.data(JsonObject().add("name", request.arguments[0]).text());
//     });
//
// `{name}` stands for one part of the path, `{name*}` at the end for all that follow (at least one, joined by '/').
// Fixed parts win over `{name}`, that over `{name*}`. Parts are percent-decoded one by one; a path with a part that is
// "." or "..", or that holds a '/', a NUL or another control character after that, is 400 and reaches no handler.
#pragma once
#include <Poco/Net/HTTPServerRequest.h>
#include <Poco/Net/HTTPServerResponse.h>

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "hub/accounts/accounts.hpp"

namespace hub {

// An answer other than the wanted one. Thrown by handlers; the message reaches the client.
struct HttpError {
    int status;
    std::string message;
};

struct Request {
    Poco::Net::HTTPServerRequest& http;
    std::string path;                        // decoded
    std::vector<std::string> arguments;      // what stood for {…}, in order
    std::map<std::string, std::string> query;
    std::string client;                      // address, for limits and logs
    std::string base;                        // "https://hub.example.com", as the client sees it
    Identity identity;
    std::string cookie;                      // of the browser's session, or ""
    int body_seconds = 30;

    // The body, at most `limit` bytes (413 otherwise), all of it within body_seconds (408). Of requests without an
    // identity 32 at a time are read (503): each keeps a thread.
    std::string body(size_t limit = 1 << 20);
    const std::string& parameter(const std::string& name) const;  // "" when it is missing
};

class Reply {
public:
    explicit Reply(Poco::Net::HTTPServerResponse& response, bool head) : http(response), head_(head) {}
    Reply(const Reply&) = delete;
    ~Reply();
    Poco::Net::HTTPServerResponse& http;  // headers may be set before one of these is called

    void data(const std::string& json, int status = 200);  // {"data": JSON}
    void error(int status, const std::string& message);    // {"error": {"code", "message"}}
    void send(int status, const std::string& type, std::string_view body);
    void empty(int status);
    // The file or what "Range" asks of it, by sendfile(2), for the most part after the handler has returned. The whole
    // `size` bytes must be there.
    void file(int fd, uint64_t size, const std::string& type, const Request& request);
    // The connection's socket, which is the caller's from now on, after `text` was sent on it: for other protocols than HTTP.
    int upgrade(const Request& request, const std::string& text);
    bool upgraded() const { return upgraded_; }
    // What file() has left to be sent: a descriptor that is the caller's from now on, and from where to where.
    struct Rest {
        int fd = -1;
        off_t at = 0, end = 0;
    };
    Rest take_rest() { return std::exchange(rest_, {}); }

private:
    bool head_, upgraded_ = false;
    Rest rest_;
};

// Who may call a route; others get 401 (nobody) or 403.
enum class Access {
    open,   // anybody; the handler looks at request.identity
    user,   // any user with scope read
    write,  // scope write
    build,  // scope build
    admin,  // an administrator with scope write
};

using Handler = std::function<void(Request&, Reply&)>;

class Router {
public:
    struct Route {
        std::string method, pattern;
        Access access;
        bool secret;  // the path holds a secret: logs show the pattern instead
        Handler handler;
        std::vector<std::string> parts;
    };
    void add(const std::string& method, const std::string& pattern, Access access, Handler handler, bool secret = false);
    // The best route, with request.arguments set. Throws HttpError 404 or 405. HEAD finds GET.
    const Route& find(const std::string& method, const std::vector<std::string>& path, std::vector<std::string>& arguments) const;
    const std::vector<Route>& routes() const { return routes_; }

private:
    std::vector<Route> routes_;
};

// The decoded parts of a path. Throws HttpError 400 or 414.
std::vector<std::string> path_parts(std::string_view raw);
std::map<std::string, std::string> query_parts(std::string_view raw);  // also of forms; throws HttpError 400

}  // namespace hub
