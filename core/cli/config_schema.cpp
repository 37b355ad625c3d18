#include <map>

#include "cli/config_actions.hpp"
#include "cli/json_writer.hpp"
#include "cli/print.hpp"

namespace sg {

namespace {

// The tree that dotted names make: a group has members, a leaf a key.
struct Node {
    std::map<std::string, Node> members;
    const KeyView* key = nullptr;
};

// JSON Schema 2020-12. Values are described as an editor sees YAML 1.2, where "yes" is a text.
class SchemaWriter {
public:
    std::string write(const std::vector<KeyView>& keys) {
        Node root;
        for (const auto& k : keys) {
            Node* at = &root;
            for (size_t begin = 0; begin <= k.name.size();) {
                const size_t dot = std::min(k.name.find('.', begin), k.name.size());
                at = &at->members[std::string(k.name.substr(begin, dot - begin))];
                begin = dot + 1;
            }
            at->key = &k;
        }
        json_.begin_object();
        json_.member("$schema", "https://json-schema.org/draft/2020-12/schema");
        json_.member("title", "Configuration of singularity (singularity.yaml, conf.d/*.yaml, ~/.singularity/config.yaml)");
        json_.member("type", "object");
        json_.key("properties");
        json_.begin_object();
        structure(keys);
        members(root, "");
        // A dotted name means the same as nested ones.
        for (const auto& k : keys)
            if (k.name.find('.') != std::string_view::npos) leaf(std::string(k.name), k);
        json_.end_object();
        closed();
        json_.end_object();
        return json_.take();
    }

private:
    void closed() {
        json_.key("additionalProperties");
        json_.boolean(false);
    }

    void structure(const std::vector<KeyView>& keys) {
        json_.key("locks");
        json_.begin_object();
        json_.member("description", "Keys that users may not change, by file, variable or option. Files of the site only.");
        json_.member("type", "array");
        json_.key("items");
        json_.begin_object();
        json_.key("enum");
        json_.begin_array();
        for (const auto& k : keys) json_.text(k.name);
        json_.end_array();
        json_.end_object();
        json_.end_object();
        json_.key("include");
        json_.begin_object();
        json_.member("description", "Directories with singularity.yaml, conf.d and plugins.d that are read after the installation's own; ${NAME} stands for a variable. Files of the site only.");
        texts();
        json_.end_object();
    }

    void members(const Node& node, const std::string&) {
        for (const auto& [name, below] : node.members) {
            if (below.key) {
                leaf(name, *below.key);
                continue;
            }
            json_.key(name);
            json_.begin_object();
            json_.member("type", "object");
            json_.key("properties");
            json_.begin_object();
            members(below, name);
            json_.end_object();
            closed();
            json_.end_object();
        }
    }

    void leaf(const std::string& name, const KeyView& k) {
        json_.key(name);
        json_.begin_object();
        describe(k, k.doc);
        json_.end_object();
        if (k.type != ValueType::list) return;
        json_.key(name + "+");
        json_.begin_object();
        describe(k, std::string(k.doc) + " These are added to those of earlier files.");
        json_.end_object();
    }

    void describe(const KeyView& k, std::string_view doc) {
        json_.member("description", doc);
        if (k.type == ValueType::list) return texts();
        if (!k.choices.empty()) {
            json_.key("enum");
            json_.begin_array();
            for (const auto c : k.choices) json_.text(c);
            // Editors read these words as truth values.
            for (const auto c : k.choices)
                if (c == "yes") json_.boolean(true);
                else if (c == "no") json_.boolean(false);
            json_.end_array();
        } else if (k.type == ValueType::boolean) {
            json_.key("enum");
            json_.begin_array();
            json_.boolean(true);
            json_.boolean(false);
            for (const char* word : {"yes", "no", "on", "off"}) json_.text(word);
            json_.end_array();
        } else if (k.type == ValueType::integer) {
            json_.key("type");
            json_.begin_array();
            json_.text("integer");
            json_.text("string");
            json_.end_array();
            json_.key("minimum");
            json_.integer(0);
            json_.member("pattern", "^[0-9]+([KMGT](i|B|iB)?)?$");
        } else {
            json_.key("type");
            json_.begin_array();
            for (const char* type : {"string", "number", "boolean", "null"}) json_.text(type);
            json_.end_array();
        }
        json_.key("default");
        if (k.type == ValueType::boolean) json_.boolean(k.initial.front() == "true");
        else if (k.type == ValueType::integer) json_.integer(std::stoll(std::string(k.initial.front())));
        else json_.text(k.initial.front());
    }

    // A list; one text counts as a list of one.
    void texts() {
        json_.key("type");
        json_.begin_array();
        json_.text("array");
        json_.text("string");
        json_.end_array();
        json_.key("items");
        json_.begin_object();
        json_.member("type", "string");
        json_.end_object();
    }

    JsonWriter json_;
};

}  // namespace

int print_schema(Session& session) {
    const Index& index = session.settings.index();
    std::vector<KeyView> keys;
    for (uint32_t i = 0; i < index.key_count(); ++i) keys.push_back(index.key(i));
    print(SchemaWriter().write(keys));
    return 0;
}

}  // namespace sg
