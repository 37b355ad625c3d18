// Who starts the container.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace sg::runtime {

struct Group {
    std::string name;
    uint32_t gid = 0;
};

struct User {
    uint32_t uid = 0, gid = 0;
    std::string name, gecos, home, shell;
    std::vector<Group> groups;  // primary first; those without a name on the host are left out
    std::vector<uint32_t> group_ids;
};

// The effective user. /etc/passwd and /etc/group are read by ourselves first: name services are asked (and
// their libraries loaded) only for what is not there. Somebody unknown gets the name "uidN" and the home
// that HOME names, if that is a directory, else "/".
User current_user();

// Somebody by number, as far as the host knows him: name "uidN" and home "/" otherwise. No groups.
User user_by_id(uint32_t uid);
std::vector<Group> groups_by_id(const std::vector<uint32_t>& ids);  // those with a name

// For tests: the entry for `uid` in text of the form of /etc/passwd.
bool find_passwd(const std::string& text, uint32_t uid, User& user);
bool find_group(const std::string& text, uint32_t gid, std::string& name);

}  // namespace sg::runtime
