// One hub: what all its parts share, and where they register their routes.
#pragma once
#include <memory>
#include <string>

#include "hub/accounts/accounts.hpp"
#include "hub/server/server.hpp"
#include "hub/store/blobs.hpp"
#include "hub/store/database.hpp"

namespace hub {

// The folder `data` holds hub.db, blobs/, uploads/ and access.json, and is the owner's alone (0700).
struct Service {
    explicit Service(std::string data);
    std::string data;
    Database database;
    Accounts accounts;
    std::unique_ptr<BlobStore> blobs;
    ServerCounts counts;
    std::string secret;  // signs upload URLs; kept in the database
    bool builds = false;  // there is a builder
};

// Each part has one. `service` outlives the router.
void add_base_routes(Service& service, Router& router);      // service.cpp: discovery, versions, health, metrics
void add_account_routes(Service& service, Router& router);   // accounts/routes.cpp
void add_keystore_routes(Service& service, Router& router);  // keystore/routes.cpp
void add_library_routes(Service& service, Router& router);   // library/routes.cpp
void add_overview_routes(Service& service, Router& router);  // library/overview.cpp: what the pages show
void add_web_routes(Service& service, Router& router);       // web/routes.cpp
// builder/routes.cpp. Without a builder there are none. Both outlive the router.
class Builder;
class LogViewers;
void add_build_routes(Service& service, Builder& builder, LogViewers& viewers, Router& router);
void add_all_routes(Service& service, Router& router);

// Removes blobs that no image has and uploads whose time is over. Safe while the hub serves.
struct Collected {
    uint64_t blobs = 0, uploads = 0, bytes = 0;
};
Collected collect_garbage(Service& service);
// What is wrong with the data, one line each; reads every blob.
std::vector<std::string> find_damage(Service& service);

}  // namespace hub
