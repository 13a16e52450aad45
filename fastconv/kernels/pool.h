/* A pool of threads for loops whose items are independent.
 *
 * Why not OpenMP?  Its workers spin at the barrier, so a core that another process takes stalls
 * every call, and a library cannot set the waiting policy of its process.  After fork() a child
 * hangs in libgomp.  Here workers spin for some microseconds and then sleep, the caller never
 * waits for a worker that has not begun, and a child starts a pool of its own.
 *
 * One loop runs at a time.  A caller that finds the pool taken does its loop alone.
 *
 * Each thread of a loop has a run of items that follow each other, and does them in their order;
 * then it helps with the runs of the others, one grain at a time.  Neighbours often write to the
 * same lines of cache, read the same rows of a map, and ask for what the next of them will read: if
 * threads took items by turns, lines would go to and fro between cores, and what was asked for
 * would be in the wrong one.
 */
#ifndef FASTCONV_POOL_H
#define FASTCONV_POOL_H

#include <stddef.h>

typedef void (*fc_task)(void *args, ptrdiff_t begin, ptrdiff_t end);

#if defined(_WIN32) || defined(FC_NO_THREADS)
static const char *fc_pool_kind(void) { return "none"; }
static void fc_parallel_for(fc_task task, void *args, ptrdiff_t begin, ptrdiff_t end,
                            ptrdiff_t grain, int threads) {
    (void)grain; (void)threads;
    if (begin < end) task(args, begin, end);
}
#else
#include <pthread.h>
#include <signal.h>
#include <time.h>

enum { FC_MAX_WORKERS = 255, FC_SPIN_NANOSECONDS = 30000 };

/* A run of items. Each has lines of cache to itself. */
typedef struct {
    ptrdiff_t next; /* atomic: the first item nobody has taken */
    ptrdiff_t end;
} __attribute__((aligned(128))) fc_run;

static struct {
    pthread_mutex_t busy;      /* held by the caller whose loop is running */
    pthread_mutex_t lock;      /* guards wake and done, on which threads sleep */
    pthread_cond_t wake, done;
    int started;               /* workers that exist */
    int sleepers;              /* workers inside pthread_cond_wait(wake) */
    int caller_sleeps;
    /* the loop */
    fc_task task;
    void *args;
    ptrdiff_t grain;
    int threads;               /* that may take part, the caller among them: each has a run */
    fc_run runs[FC_MAX_WORKERS + 1];
    int seats;                 /* atomic: how many more workers may join */
    int open;                  /* atomic: number of the loop that may be joined, or 0 */
    int inside;                /* atomic: workers that look at the loop */
    int number;                /* number of the newest loop */
} fc_pool = {.busy = PTHREAD_MUTEX_INITIALIZER, .lock = PTHREAD_MUTEX_INITIALIZER,
             .wake = PTHREAD_COND_INITIALIZER, .done = PTHREAD_COND_INITIALIZER};

static void fc_pause(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("yield");
#endif
}
static long long fc_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* Write what others must see before this thread reads on: of two threads that write and then look
 * at what the other wrote, one at least sees it.  A store and a load of the strictest order promise
 * that too, but QEMU, which runs programs of aarch64 on x86-64, lets the load overtake the store
 * (seen with 7.2).  What exchanges is a whole barrier everywhere, and on x86 the same instruction. */
static void fc_announce(int *place, int value) {
    __atomic_exchange_n(place, value, __ATOMIC_SEQ_CST);
}

/* Give each thread a run of the grains, as equal as can be; the caller has the first. */
static void fc_deal_items(ptrdiff_t begin, ptrdiff_t end, ptrdiff_t grains) {
    for (int i = 0; i < fc_pool.threads; i++) {
        ptrdiff_t next = begin + grains * i / fc_pool.threads * fc_pool.grain;
        ptrdiff_t stop = begin + grains * (i + 1) / fc_pool.threads * fc_pool.grain;
        fc_pool.runs[i].next = next;
        fc_pool.runs[i].end = stop < end ? stop : end;
    }
}

/* Do the items of the run of `seat`, and then what nobody has taken of those after it. */
static void fc_take_items(int seat) {
    for (int i = 0; i < fc_pool.threads; i++) {
        fc_run *run = &fc_pool.runs[(seat + i) % fc_pool.threads];
        ptrdiff_t first, last;
        /* only looked at, so that all may read a run that is done at the same time */
        if (__atomic_load_n(&run->next, __ATOMIC_RELAXED) >= run->end) continue;
        while ((first = __atomic_fetch_add(&run->next, fc_pool.grain, __ATOMIC_RELAXED))
               < run->end) {
            last = first + fc_pool.grain;
            fc_pool.task(fc_pool.args, first, last < run->end ? last : run->end);
        }
    }
}

/* Join the open loop if it is not `seen`; return the number of the loop that was seen last. */
static int fc_join(int seen) {
    __atomic_fetch_add(&fc_pool.inside, 1, __ATOMIC_SEQ_CST);
    int open = __atomic_load_n(&fc_pool.open, __ATOMIC_SEQ_CST);
    if (open && open != seen) {
        seen = open;
        int seat = __atomic_fetch_sub(&fc_pool.seats, 1, __ATOMIC_SEQ_CST);
        if (seat > 0) fc_take_items(seat);
    }
    if (__atomic_sub_fetch(&fc_pool.inside, 1, __ATOMIC_SEQ_CST) == 0 &&
        __atomic_load_n(&fc_pool.caller_sleeps, __ATOMIC_SEQ_CST)) {
        pthread_mutex_lock(&fc_pool.lock);
        pthread_cond_signal(&fc_pool.done);
        pthread_mutex_unlock(&fc_pool.lock);
    }
    return seen;
}

static void *fc_worker(void *unused) {
    int seen = 0;
    (void)unused;
    for (;;) {
        long long until = fc_now() + FC_SPIN_NANOSECONDS;
        int open = 0;
        do {
            for (int i = 0; i < 64 && !open; i++) {
                fc_pause();
                open = __atomic_load_n(&fc_pool.open, __ATOMIC_ACQUIRE);
                if (open == seen) open = 0;
            }
        } while (!open && fc_now() < until);
        if (!open) {
            pthread_mutex_lock(&fc_pool.lock);
            __atomic_fetch_add(&fc_pool.sleepers, 1, __ATOMIC_SEQ_CST);
            while ((open = __atomic_load_n(&fc_pool.open, __ATOMIC_SEQ_CST)) == 0 || open == seen)
                pthread_cond_wait(&fc_pool.wake, &fc_pool.lock);
            __atomic_fetch_sub(&fc_pool.sleepers, 1, __ATOMIC_SEQ_CST);
            pthread_mutex_unlock(&fc_pool.lock);
        }
        seen = fc_join(seen);
    }
    return NULL;
}

static void fc_after_fork(void) {  /* the child has no workers, and nobody there holds a lock */
    pthread_mutex_init(&fc_pool.busy, NULL);
    pthread_mutex_init(&fc_pool.lock, NULL);
    pthread_cond_init(&fc_pool.wake, NULL);
    pthread_cond_init(&fc_pool.done, NULL);
    fc_pool.started = fc_pool.sleepers = fc_pool.caller_sleeps = 0;
    fc_pool.open = fc_pool.inside = 0;
}

/* As the library is loaded: if the first loop did it, a fork by another thread just before would
 * give the child a pool that is taken for ever. */
__attribute__((constructor)) static void fc_register_fork_handler(void) {
    pthread_atfork(NULL, NULL, fc_after_fork);
}

static void fc_start_workers(int wanted) {
    sigset_t all, before;
    pthread_attr_t attributes;
    if (fc_pool.started >= wanted) return;
    sigfillset(&all);  /* signals, Ctrl-C among them, shall go to the caller's threads */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, 1 << 20);  /* musl's default is 128 KiB */
    while (fc_pool.started < wanted) {
        pthread_t thread;
        if (pthread_create(&thread, &attributes, fc_worker, NULL)) break;
        fc_pool.started++;
    }
    pthread_attr_destroy(&attributes);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static const char *fc_pool_kind(void) { return "pthreads"; }

static void fc_parallel_for(fc_task task, void *args, ptrdiff_t begin, ptrdiff_t end,
                            ptrdiff_t grain, int threads) {
    if (begin >= end) return;
    if (threads < 2 || end - begin <= grain || pthread_mutex_trylock(&fc_pool.busy)) {
        task(args, begin, end);
        return;
    }
    ptrdiff_t grains = (end - begin + grain - 1) / grain;
    if (threads > FC_MAX_WORKERS + 1) threads = FC_MAX_WORKERS + 1;
    if (threads > grains) threads = (int)grains;
    fc_start_workers(threads - 1);
    fc_pool.task = task;
    fc_pool.args = args;
    fc_pool.grain = grain;
    fc_pool.threads = threads;
    fc_deal_items(begin, end, grains);
    fc_pool.seats = threads - 1;
    fc_pool.number = fc_pool.number == 0x7fffffff ? 1 : fc_pool.number + 1;
    fc_announce(&fc_pool.open, fc_pool.number);
    if (__atomic_load_n(&fc_pool.sleepers, __ATOMIC_SEQ_CST)) {
        pthread_mutex_lock(&fc_pool.lock);
        pthread_cond_broadcast(&fc_pool.wake);
        pthread_mutex_unlock(&fc_pool.lock);
    }
    fc_take_items(0);
    fc_announce(&fc_pool.open, 0);
    if (__atomic_load_n(&fc_pool.inside, __ATOMIC_SEQ_CST)) {
        long long until = fc_now() + FC_SPIN_NANOSECONDS;
        while (__atomic_load_n(&fc_pool.inside, __ATOMIC_SEQ_CST) && fc_now() < until) fc_pause();
        if (__atomic_load_n(&fc_pool.inside, __ATOMIC_SEQ_CST)) {
            pthread_mutex_lock(&fc_pool.lock);
            fc_announce(&fc_pool.caller_sleeps, 1);
            while (__atomic_load_n(&fc_pool.inside, __ATOMIC_SEQ_CST))
                pthread_cond_wait(&fc_pool.done, &fc_pool.lock);
            __atomic_store_n(&fc_pool.caller_sleeps, 0, __ATOMIC_SEQ_CST);
            pthread_mutex_unlock(&fc_pool.lock);
        }
    }
    pthread_mutex_unlock(&fc_pool.busy);
}
#endif
#endif
