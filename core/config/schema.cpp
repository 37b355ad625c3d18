#include "config/schema.hpp"

#include <algorithm>
#include <charconv>

#include "base/error.hpp"
#include "config/policy.hpp"

namespace sg {

namespace {

using Texts = std::vector<std::string>;

model::Key key(const char* name, ValueType type, Texts initial, const char* doc, Texts variables = {}, Texts choices = {}) {
    model::Key k;
    k.name = name;
    k.type = type;
    k.doc = doc;
    k.initial = k.values = std::move(initial);
    k.choices = std::move(choices);
    k.variables = std::move(variables);
    const std::string own = variable_of_key(name);
    if (std::find(k.variables.begin(), k.variables.end(), own) == k.variables.end()) k.variables.push_back(own);
    return k;
}

model::Key boolean(const char* name, bool initial, const char* doc, Texts variables = {}) {
    return key(name, ValueType::boolean, {initial ? "true" : "false"}, doc, std::move(variables));
}
model::Key integer(const char* name, int64_t initial, const char* doc, Texts variables = {}) {
    return key(name, ValueType::integer, {std::to_string(initial)}, doc, std::move(variables));
}
model::Key text(const char* name, const char* initial, const char* doc, Texts variables = {}, Texts choices = {}) {
    return key(name, ValueType::text, {initial}, doc, std::move(variables), std::move(choices));
}
model::Key list(const char* name, Texts initial, const char* doc, Texts variables = {}) {
    return key(name, ValueType::list, std::move(initial), doc, std::move(variables));
}

}  // namespace

std::string variable_of_key(std::string_view name) {
    std::string out;
    for (const char c : name) out += c == '.' || c == '-' ? '_' : c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    return out;
}

const std::vector<model::Key>& core_schema() {
    // Names of runtime keys follow singularity.conf. "=NAME" is a variable
    // that is read under exactly this name.
    static const std::vector<model::Key> keys = {
        text("tmpdir", "", "Directory for temporary files; empty: TMPDIR, else /tmp.", {"TMPDIR", "=TMPDIR"}),
        text("cachedir", "", "Directory that holds the cache (in its directory 'cache'); empty: ~/.singularity.",
             {"CACHEDIR"}),
        boolean("cache.disable", false, "Keep nothing in the cache and use nothing from it.", {"DISABLE_CACHE"}),
        boolean("cache.keep_blobs", true,
                "Keep layers that were fetched, so that other images with the same ones need not fetch them."),
        boolean("cache.segments", true,
                "Remember which images have which layers converted, so that others with the same ones need not convert "
                "them."),
        text("cache.shared", "",
             "Another cache (the directory 'cache' of a cachedir) that is only read, for what the user's own lacks."),
        integer("fetch.jobs", 4, "Layers that are fetched at the same time."),
        boolean("fetch.offline", false, "Ask no server: run what is in the cache.", {"OFFLINE"}),
        list("credentials.helpers", {},
             "SERVER=HELPER: docker-credential-HELPER has this server's credentials, unless the user's own files do."),
        boolean("plugins.user", true, "Read plugin registrations of users (~/.singularity/plugins.d)."),

        text("build.compress", "", "Compression of new images, as zstd:3 or gzip; empty: what the format prefers."),
        integer("build.threads", 0, "Worker threads of one command; 0: one for each core that it may use."),
        integer("build.reuse_days", 7, "Days for which a build uses what %post of an equal one made; 0: never."),
        boolean("build.emulate_stat", false,
                "Tell scripts of an ordinary user's builds the recorded owners and devices of files (stat); slower."),
        integer("build.memory", int64_t{64} << 20, "Bytes that one command may hold in large buffers."),

        text("encryption.pem_path", "",
             "File with the RSA key (PEM) of encrypted images: the private one to read them, the public one to make "
             "them.",
             {"ENCRYPTION_PEM_PATH"}),
        boolean("encryption.ask", false, "Ask for the passphrase of encrypted images at the terminal."),

        integer("limits.entries", 10'000'000, "Most files and directories in one image."),
        integer("limits.file_size", int64_t{256} << 30, "Most bytes of one file in an image, holes included."),
        integer("limits.image_size", int64_t{1} << 40, "Most bytes of all files of an image together, uncompressed."),
        integer("limits.xattr_bytes", int64_t{1} << 20, "Most bytes of extended attributes of one file."),
        integer("limits.path_length", 4096, "Most bytes of one path or link target in an image."),

        text("site.hint", "", "What users of this site should know when a command fails; a line below each error."),
        text("site.documentation", "", "Address of this site's documentation; named below each error."),

        text("inspect.format", "json", "How inspect prints labels: json, or text (key: value lines).", {},
             {"json", "text"}),

        text("launcher", "", "Launcher that runs containers; empty: the first one registered."),

        boolean("mount.proc", true, "Mount /proc in containers."),
        boolean("mount.sys", true, "Mount /sys in containers."),
        text("mount.dev", "yes", "The host's /dev (yes), a new one with the usual devices (minimal), or none (no).", {},
             {"yes", "no", "minimal"}),
        boolean("mount.devpts", true, "Mount a new /dev/pts when /dev is minimal."),
        boolean("mount.home", true, "Mount the user's home directory."),
        boolean("mount.tmp", true, "Mount the host's /tmp and /var/tmp."),
        boolean("mount.hostfs", false, "Mount every file system of the host."),
        integer("mount.linger", 5,
                "Seconds that the file system server of an image, which all containers of a user share, waits for "
                "another container after the last one has ended; 0: each container has its own."),
        text("mount.reader", "auto",
             "What reads images where the kernel could: the kernel, or the file system server that users have (fuse); "
             "auto: the kernel.",
             {}, {"auto", "kernel", "fuse"}),
        boolean("mount.slave", true, "Mounts made on the host later appear in running containers."),

        list("bind.paths", {"/etc/localtime", "/etc/hosts"},
             "SOURCE[:TARGET] mounted in each container when it exists."),
        boolean("bind.user", true, "Users may add mounts (--bind, --home, --scratch, --workdir, current directory)."),

        list("environment.set", {}, "NAME=VALUE for every container, unless the user says otherwise (--env)."),

        boolean("files.passwd", true, "Add the user's entry to the container's /etc/passwd."),
        boolean("files.group", true, "Add the user's groups to the container's /etc/group."),
        boolean("files.resolv_conf", true, "Give containers the host's /etc/resolv.conf."),

        text("root.default_capabilities", "full",
             "What root has in containers: full, file (what 'capability add' gave root) or no.", {},
             {"full", "file", "no"}),
        boolean("gpu.nv", false, "Show NVIDIA GPUs in every container, as --nv does (etc/singularity/nvliblist.conf)."),
        boolean("gpu.rocm", false,
                "Show AMD GPUs in every container, as --rocm does (etc/singularity/rocmliblist.conf)."),

        text("cni.configuration_path", "",
             "Directory of the CNI network configurations for --network; empty: 'network' beside singularity.yaml."),
        list("cni.plugin_path", {"/usr/lib/cni", "/usr/libexec/cni", "/opt/cni/bin"},
             "Directories that CNI plugins are looked for in."),

        integer("session.size", 64, "MiB of memory that a container's temporary file systems may take."),
        list("policy.sources.allow", {}, "Schemes of the sources that images may come from; empty: all."),
        list("policy.sources.deny", {}, "Schemes of sources that no image may come from."),
        list("policy.registries.allow", {},
             "HOST[:PORT][/NAMESPACE] that images may come from and go to, when over a network; empty: all."),
        list("policy.registries.deny", {},
             "HOST[:PORT][/NAMESPACE] that no image may come from or go to; '*.example.org' is each host below."),
        list("policy.paths.allow", {}, "Directories and image files, as patterns, that may be run; empty: all."),
        list("policy.paths.deny", {}, "Directories and image files, as patterns, that may not be run."),
        list("policy.signers.allow", {},
             "Fingerprints of keys, one of which must have signed an image that is run; empty: none needs to."),
        list("policy.signers.deny", {}, "Fingerprints of keys; what one of them signed may not be run."),

        text("overlay.enable", "yes", "Use overlay file systems: yes, no, or try (go on without when it fails).", {},
             {"yes", "no", "try"}),
    };
    return keys;
}

std::string canonical(const std::string& value, ValueType type, const std::vector<std::string>& choices) {
    switch (type) {
        case ValueType::boolean: {
            std::string low = value;
            for (char& c : low)
                if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
            for (const char* yes : {"true", "yes", "on", "1", "t", "y"})
                if (low == yes) return "true";
            for (const char* no : {"false", "no", "off", "0", "f", "n"})
                if (low == no) return "false";
            throw Error(Code::invalid, "'" + value + "' is neither yes nor no");
        }
        case ValueType::integer: {
            int64_t n = 0;
            const char *begin = value.data(), *end = begin + value.size();
            const auto [stop, failure] = std::from_chars(begin, end, n);
            std::string_view unit(stop, static_cast<size_t>(end - stop));
            if (failure == std::errc::result_out_of_range) throw Error(Code::invalid, "'" + value + "' is too large");
            if (failure != std::errc()) throw Error(Code::invalid, "'" + value + "' is not a number");
            int shift = 0;
            if (!unit.empty()) {
                shift = unit[0] == 'K' ? 10 : unit[0] == 'M' ? 20 : unit[0] == 'G' ? 30 : unit[0] == 'T' ? 40 : -1;
                unit.remove_prefix(1);
                if (shift < 0 || !(unit.empty() || unit == "iB" || unit == "i" || unit == "B"))
                    throw Error(Code::invalid, "'" + value + "' is not a number (units are K, M, G and T)");
            }
            if (n < 0) throw Error(Code::invalid, "'" + value + "' is negative");
            if (n > (INT64_MAX >> shift)) throw Error(Code::invalid, "'" + value + "' is too large");
            return std::to_string(n << shift);
        }
        case ValueType::text:
        case ValueType::list: break;
    }
    if (value.find('\0') != std::string::npos) throw Error(Code::invalid, "a value holds a NUL byte");
    if (!choices.empty() && std::find(choices.begin(), choices.end(), value) == choices.end()) {
        // YAML's other words for yes and no mean the same in a list of choices.
        for (const auto& [word, meant] : {std::pair{"true", "yes"}, {"on", "yes"}, {"false", "no"}, {"off", "no"}})
            if (value == word && std::find(choices.begin(), choices.end(), meant) != choices.end()) return meant;
        std::string all;
        for (const auto& c : choices) all += (all.empty() ? "" : ", ") + c;
        throw Error(Code::invalid, "'" + value + "' is none of: " + all);
    }
    return value;
}

static void check_assignment(const std::string& text) {
    const std::string name = text.substr(0, text.find('='));
    const bool good =
        text.find('=') != std::string::npos && !name.empty() && !(name[0] >= '0' && name[0] <= '9') &&
        name.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_") == std::string::npos;
    if (!good) throw Error(Code::invalid, "'" + text + "' is not of the form NAME=VALUE");
}

std::string canonical_value(std::string_view key, const std::string& value, ValueType type,
                            const std::vector<std::string>& choices) {
    std::string out = canonical(value, type, choices);
    for (const char* subject : {"sources", "registries", "paths", "signers"})
        if (key == std::string("policy.") + subject + ".allow" || key == std::string("policy.") + subject + ".deny")
            return policy::canonical_rule(subject, out);
    if (key == "environment.set") check_assignment(out);
    if (key == "credentials.helpers" && (out.find('=') == std::string::npos || out.starts_with('=') ||
                                         out.ends_with('=') || out.find('/', out.find('=')) != std::string::npos))
        throw Error(Code::invalid, "'" + out + "' is not of the form SERVER=HELPER",
                    "docker-credential-HELPER is the program.");
    return out;
}

}  // namespace sg
