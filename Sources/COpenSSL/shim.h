/* SPDX-License-Identifier: Apache-2.0 */
/* What Swift cannot import from libcrypto's headers by itself: nothing else belongs here. */
#ifndef ADIT_COPENSSL_SHIM_H
#define ADIT_COPENSSL_SHIM_H
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/dh.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/params.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

/* An OSSL_PARAM keeps the address of its key: that must be a C literal's, a Swift string's would dangle. */

static inline OSSL_PARAM adit_param_aead_tag(void *tag, size_t count)
{
    return OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, tag, count);
}

static inline OSSL_PARAM adit_param_next_iv(void *iv, size_t count)
{
    return OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TLS1_GET_IV_GEN, iv, count);
}

static inline OSSL_PARAM adit_param_received_iv(void *iv, size_t count)
{
    return OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TLS1_SET_IV_INV, iv, count);
}

static inline OSSL_PARAM adit_param_digest(char *name)
{
    return OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0);
}
#endif
