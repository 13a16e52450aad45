/* The pool of threads under everything that could happen to it at once.
 *
 *     cc -g -O1 -fsanitize=thread -pthread -I fastconv/kernels pool_stress.c && ./a.out 5
 *
 * First it is checked which thread does which items. Then, for some seconds: callers whose loops
 * compete for the pool, nested loops, callers that are born and die, as many workers as there may
 * be, signals, and children of fork that use the pool at once.  Each loop checks that every item
 * was done exactly once, and that the loop had ended when the call came back.  Counters are plain
 * numbers, so that a sanitizer sees two threads that meet.  The word no-fork after the seconds
 * leaves the children out.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Slow, so that `fork_in_first_loop` finds a pool whose first loop had still to register. */
static int late_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void)) {
    usleep(50000);
    return pthread_atfork(prepare, parent, child);
}
#define pthread_atfork late_atfork
#include "pool.h"

enum { CALLERS = 4, MOST_ITEMS = 400 };

static long loops[CALLERS + 2]; /* one counter for each thread that counts */
static __thread int ours;       /* whether this thread is none of the pool's */
static int stop;                /* atomic */
static int most;                /* threads that the main one asks for */

typedef struct {
    unsigned char done[MOST_ITEMS];
    int nest;  /* whether items start loops of their own */
    int spin;  /* how long an item takes */
    ptrdiff_t late; /* an item that takes longer, or -1 */
    int threads; /* that may be here at once */
    int here;    /* atomic */
} Loop;

static unsigned draw(unsigned *seed, unsigned below) {
    *seed = *seed * 1664525u + 1013904223u;
    return (*seed >> 8) % below;
}

static void fail(const char *what, long a, long b) {
    fprintf(stderr, "pool_stress: %s: %ld, %ld\n", what, a, b);
    _exit(1);
}

static void count(void *args, ptrdiff_t begin, ptrdiff_t end) {
    unsigned char *done = args;
    for (ptrdiff_t i = begin; i < end; i++) done[i]++;
}

static void task(void *args, ptrdiff_t begin, ptrdiff_t end) {
    Loop *loop = args;
    int here = __atomic_add_fetch(&loop->here, 1, __ATOMIC_RELAXED);
    if (here > loop->threads) fail("threads in a loop", here, loop->threads);
    for (ptrdiff_t i = begin; i < end; i++) {
        loop->done[i]++;
        for (int spin = 0; spin < loop->spin; spin++) fc_pause();
        if (loop->late == i) usleep(300); /* the caller waits long enough to fall asleep */
        if (loop->nest && i % 7 == 0) {
            unsigned char inner[20] = {0};
            fc_parallel_for(count, inner, 0, 20, 1, 3);
            for (int k = 0; k < 20; k++)
                if (inner[k] != 1) fail("an item of a nested loop", k, inner[k]);
        }
    }
    __atomic_sub_fetch(&loop->here, 1, __ATOMIC_RELAXED);
}

static void run_loop(unsigned *seed, int threads) {
    Loop loop;
    ptrdiff_t begin = draw(seed, 40), end = begin + draw(seed, MOST_ITEMS - 40);
    ptrdiff_t grain = 1 + draw(seed, 9);
    memset(&loop, 0, sizeof loop);
    loop.threads = threads;
    loop.nest = draw(seed, 10) == 0;
    loop.spin = draw(seed, 4) ? 0 : (int)draw(seed, 200);
    loop.late = draw(seed, 10) ? -1 : begin + (ptrdiff_t)draw(seed, MOST_ITEMS);
    fc_parallel_for(task, &loop, begin, end, grain, threads);
    for (ptrdiff_t i = 0; i < MOST_ITEMS; i++)
        if (loop.done[i] != (begin <= i && i < end)) fail("an item", (long)i, loop.done[i]);
}

/* A thread is born deaf to signals, until it has said whose it is. */
static void hear(int how) {
    sigset_t alarms;
    sigemptyset(&alarms);
    sigaddset(&alarms, SIGALRM);
    pthread_sigmask(how, &alarms, NULL);
}

static void begin(void) {
    ours = 1;
    hear(SIG_UNBLOCK);
}

static int spawn(pthread_t *thread, void *(*function)(void *), size_t argument) {
    hear(SIG_BLOCK);
    int refused = pthread_create(thread, NULL, function, (void *)argument);
    hear(SIG_UNBLOCK);
    return refused;
}

static void *caller(void *number) {
    unsigned seed = 7 + (unsigned)(size_t)number;
    begin();
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        run_loop(&seed, 2 + (int)draw(&seed, 4));
        loops[(size_t)number]++;
        if (draw(&seed, 50) == 0) usleep(200); /* long enough for workers to fall asleep */
    }
    return NULL;
}

static void *mayfly(void *seed) {
    unsigned own = (unsigned)(size_t)seed;
    begin();
    run_loop(&own, 3);
    return NULL;
}

static void *births(void *unused) {
    unsigned seed = 3;
    (void)unused;
    begin();
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        pthread_t thread;
        if (spawn(&thread, mayfly, draw(&seed, 1u << 20))) continue;
        pthread_join(thread, NULL);
        loops[CALLERS]++;
    }
    return NULL;
}

static void on_alarm(int signal) {
    (void)signal;
    if (!ours) _exit(3); /* a worker would take Ctrl-C from Python's thread, too */
}

static void meet(void *args, ptrdiff_t begin, ptrdiff_t end) {
    int *there = args; /* atomic */
    long long until = fc_now() + 60 * 1000000000LL;
    (void)begin; (void)end;
    __atomic_fetch_add(there, 1, __ATOMIC_RELAXED);
    while (__atomic_load_n(there, __ATOMIC_RELAXED) < 2) {
        if (fc_now() > until) fail("no worker came to", *there, 2);
        usleep(10);
    }
}

/* Two items that wait for each other: one of them is a worker's.  Nobody else uses the pool. */
static void need_a_worker(void) {
    int there = 0;
    fc_parallel_for(meet, &there, 0, 2, 1, 2);
}

/* Two threads and four items: the first item waits for the third, so that the second can only be
 * done before the third has begun by a thread that takes what follows another thread's item. */
typedef struct {
    int begun[4]; /* atomic */
    int early;    /* whether the second item was done too soon */
} Four;

static void note_order(void *args, ptrdiff_t begin, ptrdiff_t end) {
    Four *four = args;
    long long until = fc_now() + 60 * 1000000000LL;
    (void)end;
    __atomic_store_n(&four->begun[begin], 1, __ATOMIC_SEQ_CST);
    if (begin == 1) four->early = !__atomic_load_n(&four->begun[2], __ATOMIC_SEQ_CST);
    while (begin == 0 && !__atomic_load_n(&four->begun[2], __ATOMIC_SEQ_CST)) {
        if (fc_now() > until) fail("no worker began its own items", 0, 0);
        usleep(10);
    }
}

static void do_own_items(void) {
    for (int i = 0; i < 100; i++) {
        Four four = {{0}, 0};
        fc_parallel_for(note_order, &four, 0, 4, 1, 2);
        if (four.early) fail("a thread did an item that follows another's, in loop", i, 100);
    }
}

/* Runs have every item once and whole grains, and differ by one grain at most. */
static void deal_fairly(void) {
    unsigned seed = 5;
    for (int round = 0; round < 2000; round++) {
        ptrdiff_t begin = draw(&seed, 40), grain = 1 + draw(&seed, 9);
        ptrdiff_t end = begin + 1 + draw(&seed, MOST_ITEMS), grains = (end - begin - 1) / grain + 1;
        fc_pool.threads = 1 + (int)draw(&seed, grains < 8 ? (unsigned)grains : 8);
        fc_pool.grain = grain;
        fc_deal_items(begin, end, grains);
        for (int i = 0; i < fc_pool.threads; i++) {
            ptrdiff_t next = fc_pool.runs[i].next, stop = fc_pool.runs[i].end;
            ptrdiff_t fewest = grains / fc_pool.threads, most_grains = fewest + 1;
            if (next != begin) fail("a run begins at", next, begin);
            if (stop < end && (stop - begin) % grain) fail("a run has", stop - begin, grain);
            if ((stop - begin + grain - 1) / grain < fewest ||
                (stop - begin + grain - 1) / grain > most_grains) fail("a run has", stop, begin);
            begin = stop;
        }
        if (begin != end) fail("the last run ends at", begin, end);
    }
}

/* A child of a process in which other threads run loops: it has a pool of its own. */
static void use_in_child(unsigned seed) {
    pid_t child = fork();
    int status = 0;
    if (child < 0) return;
    if (child == 0) {
        signal(SIGALRM, SIG_DFL);
        alarm(120); /* a child that hangs is ended */
        for (int i = 0; i < 20; i++) run_loop(&seed, 3);
        need_a_worker();
        _exit(0);
    }
    while (waitpid(child, &status, 0) < 0) { }
    if (status) fail("a child ended with status", status, (long)seed);
    loops[CALLERS + 1]++;
}

/* A fork at the beginning of the first loop there is. */
static void fork_in_first_loop(void) {
    pthread_t first;
    if (spawn(&first, mayfly, 1)) fail("no thread for the first loop", 0, 0);
    usleep(20000);
    use_in_child(1);
    pthread_join(first, NULL);
}

/* Two threads say something and then look whether the other has: one at least must see it, or a
 * caller could fall asleep while the last worker finds nobody to wake. */
enum { ROUNDS = 300000 };
typedef struct {
    int round, said; /* atomic */
    unsigned char saw[ROUNDS + 1];
} Side;
static Side sides[2];

static void *say_and_look(void *which) {
    Side *own = &sides[(size_t)which], *other = &sides[!(size_t)which];
    begin();
    for (int round = 1; round <= ROUNDS; round++) {
        __atomic_store_n(&own->round, round, __ATOMIC_RELEASE);
        for (int wait = 0; wait < 1000; wait++) /* nearly at once, unless one lost its core */
            if (__atomic_load_n(&other->round, __ATOMIC_ACQUIRE) >= round) break;
        fc_announce(&own->said, round);
        own->saw[round] = __atomic_load_n(&other->said, __ATOMIC_SEQ_CST) >= round;
    }
    return NULL;
}

static void see_each_other(void) {
    pthread_t threads[2];
    for (size_t i = 0; i < 2; i++)
        if (spawn(&threads[i], say_and_look, i)) fail("no thread that says something", (long)i, 0);
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    for (int round = 1; round <= ROUNDS; round++)
        if (!sides[0].saw[round] && !sides[1].saw[round]) fail("neither saw the other", round, 0);
}

/* Callers, births, signals and forks at once, with up to `most` threads a loop. */
static void storm(double seconds, int forks) {
    pthread_t threads[CALLERS + 1];
    unsigned seed = 1;
    stop = 0;
    for (size_t i = 0; i < CALLERS; i++) spawn(&threads[i], caller, i);
    spawn(&threads[CALLERS], births, 0);
    long long until = fc_now() + (long long)(seconds * 1e9);
    while (fc_now() < until) {
        if (draw(&seed, 2)) kill(getpid(), SIGALRM);
        else pthread_kill(threads[draw(&seed, CALLERS)], SIGALRM);
        run_loop(&seed, most);
        if (forks && draw(&seed, 20) == 0) use_in_child(seed);
    }
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    for (int i = 0; i <= CALLERS; i++) pthread_join(threads[i], NULL);
}

/* Loops with an item for each worker; others may have the pool, or the system refuse threads. */
static void start_all_workers(void) {
    for (int i = 0; fc_pool.started < FC_MAX_WORKERS && i < 100; i++) {
        unsigned char done[MOST_ITEMS] = {0};
        fc_parallel_for(count, done, 0, MOST_ITEMS, 1, most);
        for (int k = 0; k < MOST_ITEMS; k++)
            if (done[k] != 1) fail("an item of a loop for all workers", k, done[k]);
    }
}

int main(int argc, char **argv) {
    struct sigaction action;
    double seconds = argc > 1 ? atof(argv[1]) : 2;
    int forks = argc < 3 || strcmp(argv[2], "no-fork");
    long total = 0;
    begin();
    memset(&action, 0, sizeof action);
    action.sa_handler = on_alarm;
    sigaction(SIGALRM, &action, NULL);
    if (forks) fork_in_first_loop();
    see_each_other();
    deal_fairly();
    do_own_items();
    most = 4;
    storm(seconds, forks);
    most = FC_MAX_WORKERS + 1;
    storm(seconds / 2, forks);
    start_all_workers();
    need_a_worker();
    hear(SIG_BLOCK);
    kill(getpid(), SIGALRM); /* only a worker could take it now */
    usleep(1000);
    hear(SIG_UNBLOCK);
    for (size_t i = 0; i < sizeof loops / sizeof *loops; i++) total += loops[i];
    if (fc_pool.started != FC_MAX_WORKERS) fail("workers", fc_pool.started, FC_MAX_WORKERS);
    printf("pool (%s): %ld loops, %ld short-lived callers, %ld children\n", fc_pool_kind(), total,
           loops[CALLERS], loops[CALLERS + 1]);
    return 0;
}
