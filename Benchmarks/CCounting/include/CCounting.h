// SPDX-License-Identifier: Apache-2.0
// Adit: Benchmarks
#pragma once
#include <stdint.h>

// How often the calling thread allocated, locked and counted references so far: the program that links this
// gets its own malloc, pthread_mutex_lock, swift_retain (on x86-64) and so on, which count and pass on. A realloc
// allocates and frees. Swift's Mutex makes no call before it waits, so that it cannot be counted: TidyTests keep it away.
typedef struct {
    uint64_t allocations, frees, locks, retains, releases, objects;
} counting;

counting counting_now(void);
