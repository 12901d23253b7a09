// SPDX-License-Identifier: Apache-2.0
// Adit: Benchmarks
#pragma once
#include <stddef.h>
#include <stdint.h>

// Bare libcrypto on packets of [8 bytes of AAD][8 bytes of IV][text][16 bytes of tag]: what ESP cannot do without, by the
// cheapest calls that OpenSSL 3.0 has. One key, set once.
typedef struct baseline baseline;

enum { baseline_aes128gcm, baseline_aes256gcm, baseline_chacha20poly1305 };

baseline *baseline_make(int cipher, int sealing);
void baseline_free(baseline *self);
// Seals (or opens) `count` packets that lie `stride` bytes apart; 1 when all went well.
int baseline_run(baseline *self, uint8_t *packets, size_t stride, int count, size_t text);
// Monotonic nanoseconds.
uint64_t baseline_now(void);
