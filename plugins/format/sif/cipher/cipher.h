/* The ciphers of encrypted partitions, in an object of their own (sif-cipher.so, beside the plugin): it brings libcrypto,
 * which a start from a plain image must not load. Plain C between the two, built together.
 *
 * gocryptfs' file format 2 with its features HKDF and GCMIV128 (its documentation, "File contents encryption" and
 * "Master key storage"): a file is a header of 18 bytes (version 2 and a random id), then blocks of 4096 bytes, each
 * stored as IV (16), cipher text and tag (16) of AES-256-GCM; number and id are authenticated with each block. */
#ifndef SIF_CIPHER_H
#define SIF_CIPHER_H

#include <singularity/plugin.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SIF_CIPHER_ENTRY "sif_cipher"
#define SIF_CIPHER_BLOCK 4096u
#define SIF_CIPHER_STORED 4128u /* bytes of a whole block as stored */
#define SIF_CIPHER_HEADER 18u

typedef struct sif_key sif_key;
typedef struct sif_volume sif_volume;

/* Where the data of a volume is, in bytes, and what it is divided into. */
typedef struct sif_volume_facts {
    uint64_t offset, size;
    uint32_t sector;
} sif_volume_facts;

typedef int32_t (*sif_read_fn)(void *arg, uint64_t offset, void *data, uint64_t size);

typedef struct sif_cipher_v1 {
    /* From the text of gocryptfs.conf and the password. SG_EPERMISSION: it is the wrong one; SG_EUNSUPPORTED: a feature that
     * is not read here. */
    int32_t (*open)(const char *conf, uint64_t conf_size, const char *password, uint64_t password_size, sif_key **out,
                    sg_error *err);
    /* A new key; its gocryptfs.conf goes to `conf` (NUL-ended), a file's header to `header`. */
    int32_t (*make)(const char *password, uint64_t password_size, char *conf, uint64_t capacity,
                    uint8_t header[SIF_CIPHER_HEADER], sif_key **out, sg_error *err);
    void (*close)(sif_key *key);
    /* `size` bytes of stored blocks, `first` and following, to `out`, which has room for SIF_CIPHER_BLOCK of each; only the
     * last may be short. SG_ECORRUPT: some byte was changed. Any thread. */
    int32_t (*decrypt)(const sif_key *key, const uint8_t header[SIF_CIPHER_HEADER], uint64_t first, const uint8_t *in,
                       uint64_t size, uint8_t *out, sg_error *err);
    /* The reverse; `out` has room for SIF_CIPHER_STORED of each block. */
    int32_t (*encrypt)(const sif_key *key, const uint8_t header[SIF_CIPHER_HEADER], uint64_t first, const uint8_t *in,
                       uint64_t size, uint8_t *out, sg_error *err);
    /* A random password of 32 hexadecimal digits, NUL-ended. */
    int32_t (*random_password)(char out[33], sg_error *err);
    /* RSA-OAEP with SHA-256 in pieces, a DER OCTET STRING, PEM "MESSAGE" (PKCS #1, RFC 8017), with the key of a
     * PEM text. unwrap: SG_EPERMISSION when the key is not the right one; any bytes, `size` of them, and a NUL. */
    int32_t (*wrap)(const char *pem, const char *password, char *message, uint64_t capacity, sg_error *err);
    int32_t (*unwrap)(const char *pem, const char *message, char *password, uint64_t capacity, uint64_t *size, sg_error *err);

    /* A LUKS2 volume of `size` bytes (sif/cipher/luks.hpp has the errors); `read` gets bytes of it, and answers 0 or a code that is
     * handed on. */
    int32_t (*luks_open)(sif_read_fn read, void *arg, uint64_t size, const char *password, uint64_t password_size, sif_volume **out,
                         sif_volume_facts *facts, sg_error *err);
    void (*luks_close)(sif_volume *volume);
    /* Whole sectors of its data, number `first` and following, in place. Any thread. */
    int32_t (*luks_decrypt)(const sif_volume *volume, uint64_t first, uint8_t *data, uint64_t size, sg_error *err);
} sif_cipher_v1;

typedef const sif_cipher_v1 *(*sif_cipher_fn)(void);

#ifdef __cplusplus
}
#endif
#endif
