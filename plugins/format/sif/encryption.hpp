// Partitions that hold an encrypted squashfs (Apptainer: "Encrypted Containers"). File system type 6 is a small squashfs around two
// files, gocryptfs.conf and the encrypted image; type 5, which Apptainer writes as root, is a LUKS2 volume. Both are read here
// itself, the first is written too: no helper program, no device mapper, no second mount, for root and users alike.
#pragma once
#include <family/compression.hpp>
#include <memory>
#include <singularity/format.hpp>
#include <string>

#include "sif/container.hpp"

namespace sif {

// The root file system of an encrypted partition. The key: for an image with an RSA-encrypted key (a "message" object
// that is linked to the partition) the private key of the setting encryption.pem_path or of
// SINGULARITY_ENCRYPTION_PEM_DATA; else the passphrase of SINGULARITY_ENCRYPTION_PASSPHRASE, or with the setting
// encryption.ask of who sits at the terminal. Code::permission without the right one, Code::unsupported for a LUKS
// volume with features that those tools do not use, Code::corrupt.
std::unique_ptr<singularity::Root> open_encrypted(const Container& container, const Descriptor& partition,
                                                  const std::string& what);

// The key of a new image: found, or asked for, before anything is made.
class NewKey {
public:
    NewKey();
    ~NewKey();
    NewKey(const NewKey&) = delete;
    NewKey& operator=(const NewKey&) = delete;

    // Writes the `size` bytes of a squashfs at the start of `plain`, encrypted, as a partition at `at` of `fd`; its
    // size.
    uint64_t write_partition(int plain, uint64_t size, int fd, uint64_t at, const squashfs::SquashfsOptions& options,
                             const singularity::Host& host);
    // The text of the message object; "" with a passphrase.
    const std::string& message() const { return message_; }

private:
    std::string password_, message_;
};

}  // namespace sif
