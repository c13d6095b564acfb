/* Counts the heap calls of every thread from outside the program: preloaded, it stands before malloc and its kin.
 *
 * The counts lie in a file shared with the test (HEAPCOUNT_FILE, made by the test with its full size), so that they can be read
 * while the program runs. A thread claims a row with its first call and is its only writer. Calls before the constructor below
 * are not counted: they are the main thread's, before `main`. No call here allocates: the real functions are taken by the names
 * that glibc exports for this, so that no dlsym, which calls calloc itself, is needed. */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);
extern void __libc_free(void *);

enum { MALLOC, CALLOC, REALLOC, MEMALIGN, FREE, KINDS };
enum { ROWS = 64 };

/* Six 64-bit numbers, in the machine's order; test_heap.py reads the same form. */
struct row {
    _Atomic uint64_t thread;
    _Atomic uint64_t counts[KINDS];
};

/* The last row takes in whoever found no other; the test refuses a table whose last row is in use. */
struct table {
    struct row rows[ROWS];
};

static _Atomic(struct table *) table;
static _Atomic unsigned claimed;
/* In the static TLS block, so that the first access does not allocate. */
static __thread struct row *mine __attribute__((tls_model("initial-exec")));

__attribute__((constructor)) static void map_table(void) {
    const char *path = getenv("HEAPCOUNT_FILE");
    if (path == NULL) return;
    int file = open(path, O_RDWR | O_CLOEXEC);
    if (file < 0) return;
    void *memory = mmap(NULL, sizeof(struct table), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (memory != MAP_FAILED) atomic_store(&table, memory);
}

static void count(int kind) {
    struct table *shared = atomic_load_explicit(&table, memory_order_acquire);
    if (shared == NULL) return;
    if (mine == NULL) {
        unsigned place = atomic_fetch_add(&claimed, 1);
        mine = &shared->rows[place < ROWS ? place : ROWS - 1];
        atomic_store(&mine->thread, (uint64_t)syscall(SYS_gettid));
    }
    atomic_fetch_add_explicit(&mine->counts[kind], 1, memory_order_relaxed);
}

void *malloc(size_t size) {
    count(MALLOC);
    return __libc_malloc(size);
}

void *calloc(size_t members, size_t size) {
    count(CALLOC);
    return __libc_calloc(members, size);
}

void *realloc(void *memory, size_t size) {
    count(REALLOC);
    return __libc_realloc(memory, size);
}

void free(void *memory) {
    count(FREE);
    __libc_free(memory);
}

void *memalign(size_t alignment, size_t size) {
    count(MEMALIGN);
    return __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size) {
    count(MEMALIGN);
    return __libc_memalign(alignment, size);
}

int posix_memalign(void **memory, size_t alignment, size_t size) {
    count(MEMALIGN);
    if (alignment < sizeof(void *) || (alignment & (alignment - 1)) != 0) return EINVAL;
    void *taken = __libc_memalign(alignment, size);
    if (taken == NULL) return ENOMEM;
    *memory = taken;
    return 0;
}
