/* SPDX-License-Identifier: Apache-2.0 */
/* What Swift cannot import from libcrypto's headers by itself: nothing else belongs here. */
#ifndef ADIT_COPENSSL_SHIM_H
#define ADIT_COPENSSL_SHIM_H
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/dh.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#endif
