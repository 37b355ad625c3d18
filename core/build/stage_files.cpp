#include "build/stage_files.hpp"

#include <openssl/evp.h>

#include "base/error.hpp"

namespace sg {

using definition::FilePair;
using definition::Stage;

namespace {

// Takes files as %files would copy them and remembers what they are: equal texts, equal files.
class FilesDigest final : public FilesTarget {
public:
    void begin(const std::string&, const std::string&) override {}
    Kind kind(const std::string& path) override { return path == "/" ? Kind::directory : Kind::none; }
    void directory(const std::string& path, uint32_t permissions, int64_t) override {
        text_ += "d " + std::to_string(permissions) + " " + path + '\0';
    }
    void symlink(const std::string& path, const std::string& target, int64_t) override {
        text_ += "l " + path + '\0' + target + '\0';
    }
    void file(const std::string& path, uint32_t permissions, int64_t, const Bytes& bytes) override {
        const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
        if (!context || EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) != 1)
            throw Error(Code::internal, "SHA-256 is not available");
        static const std::string zeros(1 << 16, '\0');
        const auto stream = bytes.source.open(bytes.path);
        for (singularity::Slice s = stream->next(); s.size() > 0; s = stream->next()) {
            if (s.data()) {
                EVP_DigestUpdate(context.get(), s.data(), static_cast<size_t>(s.size()));
                continue;
            }
            for (uint64_t left = s.size(); left > 0;) {
                const uint64_t n = std::min<uint64_t>(left, zeros.size());
                EVP_DigestUpdate(context.get(), zeros.data(), static_cast<size_t>(n));
                left -= n;
            }
        }
        unsigned char sum[EVP_MAX_MD_SIZE];
        unsigned int length = 0;
        EVP_DigestFinal_ex(context.get(), sum, &length);
        text_ += "f " + std::to_string(permissions) + " " + path + '\0' +
                 std::string(reinterpret_cast<const char*>(sum), length);
    }
    void give(const std::string&, uint32_t mode, uint32_t uid, uint32_t gid) override {
        text_ += "o " + std::to_string(mode) + " " + std::to_string(uid) + " " + std::to_string(gid) + '\0';
    }
    void link(const std::string& path, const std::string& first) override { text_ += "h " + path + '\0' + first + '\0'; }
    const std::string& text() const { return text_; }

private:
    std::string text_;
};

}  // namespace

std::string StageFiles::missing(const Stage& stage) const {
    for (const definition::Files& files : stage.files)
        if (!files.stage.empty() && chosen_.has("files") && !images_.count(files.stage)) return files.stage;
    return {};
}

// `stage` "" = of the host.
void StageFiles::copy(const std::vector<FilePair>& pairs, const std::string& stage, FilesTarget& to,
                      const std::string& top, std::optional<int64_t> latest) const {
    FilesRules rules;
    rules.clamp = latest;
    rules.top = top;
    rules.as_made = !stage.empty();
    if (stage.empty()) return copy_files(definition_.source, pairs, *host_files(directory_), to, rules, call_);
    const auto root = images_.at(stage)->root();
    copy_files(definition_.source, pairs, *stage_files(root, stage), to, rules, call_);
}

void StageFiles::of_stages(const Stage& stage, FilesTarget& to, std::optional<int64_t> latest) const {
    for (const definition::Files& files : stage.files)
        if (!files.stage.empty() && chosen_.has("files")) copy(files.pairs, files.stage, to, "", latest);
}

void StageFiles::of_host(const Stage& stage, FilesTarget& to, std::optional<int64_t> latest) const {
    for (const definition::Files& files : stage.files)
        if (files.stage.empty() && chosen_.has("files")) copy(files.pairs, "", to, "", latest);
    for (const definition::App& app : stage.apps) copy(app.files, "", to, "/scif/apps/" + app.name, latest);
}

void StageFiles::add_to(StageInputs& inputs, const Stage& stage) const {
    const auto add = [&](const std::string& name, const FilePair& pair, const std::string& from,
                         const std::string& top) {
        FilesDigest digest;
        copy({pair}, from, digest, top, std::nullopt);
        inputs.add(name + " " + pair.source, pair.destination + '\0' + digest.text());
    };
    for (const bool of_host : {false, true})
        for (const definition::Files& files : stage.files)
            if (files.stage.empty() == of_host && chosen_.has("files"))
                for (const FilePair& pair : files.pairs)
                    add(of_host ? "%files" : "%files from " + files.stage + ":", pair, files.stage, "");
    for (const definition::App& app : stage.apps) {
        inputs.add("app " + app.name, "");
        for (const FilePair& pair : app.files) add("%appfiles " + app.name + ":", pair, "", "/scif/apps/" + app.name);
    }
}

}  // namespace sg
