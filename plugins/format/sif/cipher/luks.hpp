// LUKS2 volumes, read without the kernel: the header, the key in it that a passphrase unwraps, and the data.
//
// LUKS2 On-Disk Format Specification 1.1 (the cryptsetup project): two copies of a binary header of 4096 bytes with
// JSON behind each; key slots hold the volume key, spread over stripes (anti-forensic splitter, section 2.4 of the
// LUKS1 specification) and encrypted with what PBKDF2 or Argon2 makes of the passphrase. What Apptainer and Singularity
// write as root is `cryptsetup luksFormat --type luks2` with its defaults: AES-XTS, one slot, one segment.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "sif/cipher/cipher.h"

namespace luks {

// `size` bytes at `offset` of the volume; throws when there are fewer.
using Read = std::function<void(uint64_t offset, void* data, uint64_t size)>;

class Volume {
public:
    // `size`: bytes of the whole volume. Throws Code::permission for a wrong passphrase, Code::unsupported for what the
    // named tools do not write, Code::limit for a key derivation out of bounds, Code::corrupt.
    Volume(const Read& read, uint64_t size, std::string_view passphrase);
    ~Volume();
    Volume(const Volume&) = delete;
    Volume& operator=(const Volume&) = delete;

    uint64_t offset() const { return offset_; }  // of the data in the volume
    uint64_t size() const { return size_; }      // of the data
    uint32_t sector() const { return sector_; }  // bytes of one

    // Whole sectors, the first of which is number `first`, in place. Any thread.
    void decrypt(uint64_t first, uint8_t* data, uint64_t size) const;

private:
    uint64_t offset_ = 0, size_ = 0, tweak_ = 0;
    uint32_t sector_ = 512;
    std::vector<uint8_t> key_;
};

}  // namespace luks
