/* TLS in an object of its own (https-tls.so, beside the plugin): it brings libssl and libcrypto, which a request over
 * plain http must not load. Plain C between the two, built together. */
#ifndef HTTPS_TLS_H
#define HTTPS_TLS_H

#include <singularity/plugin.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HTTPS_TLS_ENTRY "https_tls_table"

/* What decides whom we trust and who we are; files are PEM. `identity` is the same text for the same settings. */
typedef struct https_tls_settings {
    int32_t verify;
    const char *const *ca; /* files, or directories of them, trusted besides the system's; ended by NULL */
    const char *certificate, *key;
    const char *identity;
} https_tls_settings;

typedef struct https_tls https_tls;

/* What came of a step: `bytes` of it were done, it must wait until the socket can be read or written, or the peer has
 * ended the connection in order. */
enum { HTTPS_TLS_SOME = 0, HTTPS_TLS_WANT_READ = 1, HTTPS_TLS_WANT_WRITE = 2, HTTPS_TLS_END = 3 };

typedef struct https_tls_v1 {
    /* TLS over the connected socket `fd`, which stays the caller's and open until `close`, with `host`, a name or an
     * address; `where` ("host:port") is for messages. */
    int32_t (*open)(int32_t fd, const char *host, const char *where, const https_tls_settings *settings, https_tls **out,
                    sg_error *err);
    /* Goes on with the handshake; HTTPS_TLS_SOME: it is done. A certificate that is not accepted is SG_ENETWORK with
     * EKEYREJECTED behind it and a hint about the cure. */
    int32_t (*shake_hands)(https_tls *tls, int32_t *did, sg_error *err);
    int32_t (*read)(https_tls *tls, char *to, uint64_t size, int32_t *did, uint64_t *bytes, sg_error *err);
    int32_t (*write)(https_tls *tls, const char *from, uint64_t size, int32_t *did, uint64_t *bytes, sg_error *err);
    /* Says goodbye if it can, and does not wait. */
    void (*close)(https_tls *tls);
} https_tls_v1;

typedef const https_tls_v1 *(*https_tls_fn)(void);

#ifdef __cplusplus
}
#endif
#endif
