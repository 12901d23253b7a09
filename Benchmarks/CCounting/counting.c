// SPDX-License-Identifier: Apache-2.0
// Adit: Benchmarks
#define _GNU_SOURCE
#include "CCounting.h"
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>

#define LOCAL __attribute__((visibility("hidden"), used, tls_model("local-exec"))) __thread uint64_t
LOCAL allocations;
LOCAL frees;
LOCAL locks;
LOCAL counted_retains;
LOCAL counted_releases;
LOCAL counted_objects;

static void count(uint64_t *counter) { *counter += 1; }

// glibc's own names of its functions; definitions in the executable come before the library's for every library.
extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);
extern void __libc_free(void *);

void *malloc(size_t size) {
    count(&allocations);
    return __libc_malloc(size);
}
void *calloc(size_t number, size_t size) {
    count(&allocations);
    return __libc_calloc(number, size);
}
void *realloc(void *old, size_t size) {
    count(&allocations);
    if (old) count(&frees);
    return __libc_realloc(old, size);
}
void *aligned_alloc(size_t alignment, size_t size) {
    count(&allocations);
    return __libc_memalign(alignment, size);
}
void *memalign(size_t alignment, size_t size) {
    count(&allocations);
    return __libc_memalign(alignment, size);
}
int posix_memalign(void **result, size_t alignment, size_t size) {
    count(&allocations);
    *result = __libc_memalign(alignment, size);
    return *result ? 0 : ENOMEM;
}
void free(void *memory) {
    if (memory) count(&frees);
    __libc_free(memory);
}

typedef int locking(void *);
static int pass_on(_Atomic(locking *) *known, const char *name, void *lock) {
    locking *next = atomic_load_explicit(known, memory_order_relaxed);
    if (!next) {
        next = (locking *)dlsym(RTLD_NEXT, name);
        atomic_store_explicit(known, next, memory_order_relaxed);
    }
    count(&locks);
    return next(lock);
}
int pthread_mutex_lock(pthread_mutex_t *lock) {
    static _Atomic(locking *) next;
    return pass_on(&next, "pthread_mutex_lock", lock);
}
int pthread_mutex_trylock(pthread_mutex_t *lock) {
    static _Atomic(locking *) next;
    return pass_on(&next, "pthread_mutex_trylock", lock);
}
int pthread_rwlock_rdlock(pthread_rwlock_t *lock) {
    static _Atomic(locking *) next;
    return pass_on(&next, "pthread_rwlock_rdlock", lock);
}
int pthread_rwlock_wrlock(pthread_rwlock_t *lock) {
    static _Atomic(locking *) next;
    return pass_on(&next, "pthread_rwlock_wrlock", lock);
}
int pthread_spin_lock(pthread_spinlock_t *lock) {
    static _Atomic(locking *) next;
    return pass_on(&next, "pthread_spin_lock", (void *)lock);
}

// The Swift runtime's reference counting: callers expect nearly all registers to survive these calls, so what counts is
// two instructions long. Before any library is initialised the real functions are looked up.
#if defined(__x86_64__)
#define COUNTED(name, counter)                                                                      \
    void *real_##name __attribute__((visibility("hidden")));                                        \
    __asm__(".text\n.globl " #name "\n.type " #name ", @function\n" #name ":\n"                     \
            "incq %fs:" #counter "@tpoff\njmp *real_" #name "(%rip)\n.size " #name ", .-" #name "\n")
COUNTED(swift_retain, counted_retains);
COUNTED(swift_retain_n, counted_retains);
COUNTED(swift_bridgeObjectRetain, counted_retains);
COUNTED(swift_release, counted_releases);
COUNTED(swift_release_n, counted_releases);
COUNTED(swift_bridgeObjectRelease, counted_releases);
COUNTED(swift_allocObject, counted_objects);
static void resolve(void) {
    real_swift_retain = dlsym(RTLD_NEXT, "swift_retain");
    real_swift_retain_n = dlsym(RTLD_NEXT, "swift_retain_n");
    real_swift_bridgeObjectRetain = dlsym(RTLD_NEXT, "swift_bridgeObjectRetain");
    real_swift_release = dlsym(RTLD_NEXT, "swift_release");
    real_swift_release_n = dlsym(RTLD_NEXT, "swift_release_n");
    real_swift_bridgeObjectRelease = dlsym(RTLD_NEXT, "swift_bridgeObjectRelease");
    real_swift_allocObject = dlsym(RTLD_NEXT, "swift_allocObject");
}
__attribute__((section(".preinit_array"), used)) static void (*first)(void) = resolve;
#endif

counting counting_now(void) {
    return (counting){allocations, frees, locks, counted_retains, counted_releases, counted_objects};
}
