/* The benchmark's fleet in C: what a capable programmer writes for this one question.
 *
 * One event heap, xoshiro256+, exponential gaps by inversion, lognormal demands by the polar method;
 * a queue at each instance, round robin or least connections (of equals the one that changed last
 * the longest ago), a rolling rollout two at a time, a log-linear histogram and bins of seconds.
 *
 *     gcc -O3 -march=native -o fleet fleet.c -lm && ./fleet round_robin 300 1200 20 1
 */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SLOTS 4
#define WINDOW 2
#define MEAN_S 0.05
#define BUCKETS 4738

enum { ARRIVAL, COMPLETION, STEP };
typedef struct { double time; int what, which; double arrived; } Event;
typedef struct { double arrived, demand; } Waiting;
typedef struct {
    int in_pool, busy, queued, head, step;
    long changed;
    int capacity;
    Waiting *queue;
} Instance;

static uint64_t state[4];
static uint64_t rotl(uint64_t x, int k) { return (x << k) | (x >> (64 - k)); }
static double uniform(void) {
    uint64_t result = state[0] + state[3], t = state[1] << 17;
    state[2] ^= state[0]; state[3] ^= state[1]; state[1] ^= state[2]; state[0] ^= state[3];
    state[2] ^= t; state[3] = rotl(state[3], 45);
    return ((result >> 11) + 0.5) * 0x1.0p-53;
}
static double spare; static int has_spare;
static double normal(void) {
    if (has_spare) { has_spare = 0; return spare; }
    double a, b, r;
    do { a = 2 * uniform() - 1; b = 2 * uniform() - 1; r = a * a + b * b; } while (r >= 1 || r == 0);
    double f = sqrt(-2 * log(r) / r);
    spare = b * f; has_spare = 1;
    return a * f;
}

static Event *heap; static int heap_count, heap_capacity;
static void push(Event e) {
    if (heap_count == heap_capacity) heap = realloc(heap, (heap_capacity *= 2) * sizeof *heap);
    int k = heap_count++;
    while (k > 0 && heap[(k - 1) / 2].time > e.time) { heap[k] = heap[(k - 1) / 2]; k = (k - 1) / 2; }
    heap[k] = e;
}
static Event pop(void) {
    Event first = heap[0], last = heap[--heap_count];
    int k = 0;
    for (;;) {
        int below = 2 * k + 1;
        if (below >= heap_count) break;
        if (below + 1 < heap_count && heap[below + 1].time < heap[below].time) below++;
        if (heap[below].time >= last.time) break;
        heap[k] = heap[below]; k = below;
    }
    heap[k] = last;
    return first;
}

static Instance *fleet; static int count, pointer, out, next_out; static long changes;
static long histogram[BUCKETS], *offered, *served; static double *busy_s; static long failed;
static const double STEPS[] = {1, 5, 1, 3}; /* stop, deploy, verify, start */

static void begin(int i, double now, double arrived, double demand) {
    fleet[i].busy++;
    push((Event){now + demand, COMPLETION, i, arrived});
    busy_s[(int)now] += demand;
}
static int pick(int least) {
    if (!least) {
        for (int k = 0; k < count; k++) {
            int i = pointer++;
            if (pointer == count) pointer = 0;
            if (fleet[i].in_pool) return i;
        }
        return -1;
    }
    int best = -1, load = 0;
    for (int i = 0; i < count; i++) {
        if (!fleet[i].in_pool) continue;
        int mine = fleet[i].busy + fleet[i].queued;
        if (best < 0 || mine < load || (mine == load && fleet[i].changed < fleet[best].changed))
            { best = i; load = mine; }
    }
    return best;
}
static void take_out(double now) {
    while (out < WINDOW && next_out < count) {
        int i = next_out++;
        out++; fleet[i].in_pool = 0; fleet[i].step = 0;
        if (fleet[i].busy + fleet[i].queued == 0) push((Event){now + STEPS[0], STEP, i, 0});
    }
}

int main(int argc, char **argv) {
    if (argc != 6) return 2;
    int least = strcmp(argv[1], "least_connections") == 0;
    double seconds = atof(argv[2]), rate = atof(argv[3]);
    count = atoi(argv[4]);
    uint64_t seed = strtoull(argv[5], 0, 10);
    for (int k = 0; k < 4; k++) { /* splitmix64 */
        uint64_t z = (seed += 0x9e3779b97f4a7c15);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9; z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
        state[k] = z ^ (z >> 31);
    }
    struct timespec from, to;
    clock_gettime(CLOCK_MONOTONIC, &from);
    heap = malloc((heap_capacity = 1024) * sizeof *heap);
    fleet = calloc(count, sizeof *fleet);
    for (int i = 0; i < count; i++) {
        fleet[i].in_pool = 1; fleet[i].changed = i; fleet[i].capacity = 64;
        fleet[i].queue = malloc(64 * sizeof(Waiting));
    }
    changes = count;
    int bins = (int)seconds + 2;
    offered = calloc(bins, sizeof *offered); served = calloc(bins, sizeof *served);
    busy_s = calloc(bins, sizeof *busy_s);
    double sigma = sqrt(log(2)), mu = log(MEAN_S) - sigma * sigma / 2, latency_sum = 0;
    long arrived = 0, ok = 0;
    push((Event){-log(uniform()) / rate, ARRIVAL, 0, 0});
    take_out(0);
    while (heap_count) {
        Event e = pop();
        if (e.time >= seconds) break;
        double now = e.time;
        if (e.what == ARRIVAL) {
            arrived++; offered[(int)now]++;
            double demand = exp(mu + sigma * normal());
            push((Event){now - log(uniform()) / rate, ARRIVAL, 0, 0});
            int i = pick(least);
            if (i < 0) { failed++; continue; }
            Instance *one = &fleet[i];
            one->changed = changes++;
            if (one->busy < SLOTS) begin(i, now, now, demand);
            else {
                if (one->queued == one->capacity) {
                    Waiting *bigger = malloc(2 * one->capacity * sizeof(Waiting));
                    for (int k = 0; k < one->queued; k++)
                        bigger[k] = one->queue[(one->head + k) & (one->capacity - 1)];
                    free(one->queue); one->queue = bigger; one->head = 0; one->capacity *= 2;
                }
                one->queue[(one->head + one->queued++) & (one->capacity - 1)] = (Waiting){now, demand};
            }
        } else if (e.what == COMPLETION) {
            Instance *one = &fleet[e.which];
            double latency = now - e.arrived;
            union { double d; int64_t i; } bits = {.d = latency};
            int64_t bucket = (bits.i >> 45) - ((INT64_C(1003) << 7) - 1);
            histogram[bucket < 0 ? 0 : bucket >= BUCKETS ? BUCKETS - 1 : bucket]++;
            latency_sum += latency; ok++; served[(int)now]++;
            one->busy--; one->changed = changes++;
            if (one->queued) {
                Waiting w = one->queue[one->head];
                one->head = (one->head + 1) & (one->capacity - 1); one->queued--;
                begin(e.which, now, w.arrived, w.demand);
            }
            if (!one->in_pool && one->busy + one->queued == 0)
                push((Event){now + STEPS[0], STEP, e.which, 0});
        } else if (++fleet[e.which].step < 4) {
            push((Event){now + STEPS[fleet[e.which].step], STEP, e.which, 0});
        } else {
            fleet[e.which].in_pool = 1; out--; take_out(now);
        }
    }
    clock_gettime(CLOCK_MONOTONIC, &to);
    double took = (to.tv_sec - from.tv_sec) + (to.tv_nsec - from.tv_nsec) * 1e-9;
    long below = 0, k = 0;
    while (k < BUCKETS && (below += histogram[k]) < 0.99 * ok) k++;
    union { int64_t i; double d; } p99 = {.i = (k + (INT64_C(1003) << 7) - 1) << 45};
    printf("{\"arrived\": %ld, \"ok\": %ld, \"failed\": %ld, \"latency_mean_s\": %.6f, "
           "\"latency_p99_s\": %.6f, \"requests_per_s\": %.0f}\n",
           arrived, ok, failed, latency_sum / ok, p99.d, arrived / took);
    return 0;
}
