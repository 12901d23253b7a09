// SPDX-License-Identifier: Apache-2.0
// Adit: Benchmarks
#include "CBaseline.h"
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct baseline {
    EVP_CIPHER_CTX *context;
    OSSL_PARAM parameters[3];
    uint64_t iv;
    int sealing, chacha;
};

baseline *baseline_make(int cipher, int sealing) {
    static const char *names[] = {"AES-128-GCM", "AES-256-GCM", "ChaCha20-Poly1305"};
    uint8_t key[32], nonce[12];
    memset(key, 7, sizeof key);
    memset(nonce, 0, sizeof nonce);
    baseline *self = calloc(1, sizeof *self);
    EVP_CIPHER *fetched = EVP_CIPHER_fetch(NULL, names[cipher], NULL);
    self->context = EVP_CIPHER_CTX_new();
    self->sealing = sealing;
    self->chacha = cipher == baseline_chacha20poly1305;
    int good = EVP_CipherInit_ex2(self->context, fetched, key, self->chacha ? nonce : NULL, sealing, NULL);
    EVP_CIPHER_free(fetched);
    self->parameters[0] = OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, NULL, 16);
    self->parameters[2] = OSSL_PARAM_construct_end();
    if (!self->chacha) {
        good &= EVP_CIPHER_CTX_ctrl(self->context, EVP_CTRL_AEAD_SET_IV_FIXED, -1, nonce) == 1;
        if (sealing) {
            self->parameters[1] =
                OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TLS1_GET_IV_GEN, &self->iv, 8);
            good &= EVP_CIPHER_CTX_get_params(self->context, self->parameters + 1) == 1;
        } else {
            self->parameters[1] = OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TLS1_SET_IV_INV, NULL, 8);
        }
    }
    if (!good) abort();
    return self;
}

void baseline_free(baseline *self) {
    EVP_CIPHER_CTX_free(self->context);
    free(self);
}

static int run_gcm(baseline *self, uint8_t *packet, size_t text) {
    EVP_CIPHER_CTX *context = self->context;
    uint8_t *body = packet + 16;
    self->parameters[0].data = body + text;
    if (self->sealing) {
        memcpy(packet + 8, &self->iv, 8);
    } else {
        self->parameters[1].data = packet + 8;
        if (EVP_CIPHER_CTX_set_params(context, self->parameters) != 1) return 0;
    }
    if (EVP_Cipher(context, NULL, packet, 8) < 0 || EVP_Cipher(context, body, body, text) < 0
        || EVP_Cipher(context, NULL, NULL, 0) < 0)
        return 0;
    return !self->sealing || EVP_CIPHER_CTX_get_params(context, self->parameters) == 1;
}

static int run_chacha(baseline *self, uint8_t *packet, size_t text) {
    EVP_CIPHER_CTX *context = self->context;
    uint8_t *body = packet + 16, nonce[12] = {0};
    int length;
    if (self->sealing) {
        memcpy(packet + 8, &self->iv, 8);
        self->iv++;
    }
    memcpy(nonce + 4, packet + 8, 8);
    if (EVP_CipherInit_ex(context, NULL, NULL, NULL, nonce, -1) != 1) return 0;
    self->parameters[1] = self->parameters[2];
    self->parameters[0].data = body + text;
    if (!self->sealing && EVP_CIPHER_CTX_set_params(context, self->parameters) != 1) return 0;
    if (EVP_CipherUpdate(context, NULL, &length, packet, 8) != 1
        || EVP_CipherUpdate(context, body, &length, body, (int)text) != 1
        || EVP_CipherFinal_ex(context, body + text, &length) != 1)
        return 0;
    return !self->sealing || EVP_CIPHER_CTX_get_params(context, self->parameters) == 1;
}

int baseline_run(baseline *self, uint8_t *packets, size_t stride, int count, size_t text) {
    int good = 1;
    for (int index = 0; index < count; index++)
        good &= (self->chacha ? run_chacha : run_gcm)(self, packets + index * stride, text);
    return good;
}

uint64_t baseline_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}
