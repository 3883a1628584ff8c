// load PORT CONNECTIONS SECONDS SHAPE: HTTP/1.1 requests over plaintext to 127.0.0.1:PORT. One thread, one epoll.
//   keep    a closed loop: each connection sends its next request when the answer is complete
//   new     each request has a connection of its own, closed after the answer; latency then counts from connect()
//   rate:N  an open loop: N requests a second whatever the answers do, each on a connection that is free; latency counts from the moment it was due
//   bulk    a closed loop of long bodies
//   hold    each connection asks once and then stays, idle; "held N" says that all are there, and the end of standard input ends it
// Prints one line: requests N bytes N seconds S errors N p50us N p99us N. Only what completed within SECONDS counts, of bytes all that came.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "answer.h"

enum { MAX_HEAD = 4096, PIECE = BLOCK, EVENTS = 256, MAX_ERRORS = 1000 };

struct connection {
    int fd;
    int connecting;
    uint64_t started;
    size_t filled; // of the head
    size_t body;   // that came of the body; the head is complete once it counts
    int in_body;
    struct connection *next_free;
    char head[MAX_HEAD];
};

static enum { KEEP, NEW, RATE, BULK, HOLD } shape;
static int epoll_fd;
static struct sockaddr_in target;
static uint64_t errors, bytes;
static uint32_t *latencies; // microseconds
static size_t requests, room, held;
static uint64_t first_due, rate, asked; // of an open loop: the next is due at first_due + asked / rate
static struct connection *free_ones;
static char piece[PIECE];

static uint64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static void open_connection(struct connection *c) {
    int on = 1;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    c->connecting = 1;
    c->started = now();
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (c->fd < 0 || (connect(c->fd, (struct sockaddr *)&target, sizeof target) != 0 && errno != EINPROGRESS)) {
        perror("load: connect");
        exit(1);
    }
    struct epoll_event event = {.events = EPOLLOUT, .data.ptr = c};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &event);
}

static void fail(struct connection *c, const char *why) {
    if (errors++ == 0) {
        fprintf(stderr, "load: %s\n", why);
    }
    if (errors > MAX_ERRORS) {
        fprintf(stderr, "load: more than %d errors\n", MAX_ERRORS);
        exit(1);
    }
    close(c->fd);
    open_connection(c);
}

static void ask(struct connection *c) {
    const char *request = shape == BULK ? LONG_REQUEST : REQUEST;
    c->filled = c->body = c->in_body = 0;
    if (send(c->fd, request, strlen(request), MSG_NOSIGNAL) != (ssize_t)strlen(request)) {
        fail(c, "the request could not be sent");
    }
}

// The requests of an open loop that are due, as far as there are free connections for them.
static void ask_what_is_due(void) {
    uint64_t due;
    while (free_ones != NULL && (due = first_due + asked * 1000000000ull / rate) <= now()) {
        struct connection *c = free_ones;
        free_ones = c->next_free;
        c->started = due;
        asked++;
        ask(c);
    }
}

// Nanoseconds until the next request is due, at most ten milliseconds.
static long until_next(void) {
    uint64_t t = now(), due = first_due + asked * 1000000000ull / rate, most = 10000000;
    return free_ones == NULL || due > t + most ? (long)most : due > t ? (long)(due - t) : 0;
}

static void count(struct connection *c) {
    if (requests == room) {
        room = room ? room * 2 : 1 << 16;
        latencies = realloc(latencies, room * sizeof *latencies);
    }
    latencies[requests++] = (now() - c->started) / 1000;
}

static void set_free(struct connection *c) {
    c->next_free = free_ones;
    free_ones = c;
}

static void connected(struct connection *c) {
    int problem = 0;
    socklen_t size = sizeof problem;
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &problem, &size);
    if (problem != 0) {
        fail(c, strerror(problem));
        return;
    }
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &event);
    c->connecting = 0;
    if (shape == RATE) {
        set_free(c);
    } else {
        ask(c);
    }
}

static void complete(struct connection *c) {
    count(c);
    switch (shape) {
    case KEEP:
    case BULK:
        c->started = now();
        ask(c);
        break;
    case RATE:
        set_free(c);
        break;
    case NEW:
        close(c->fd);
        open_connection(c);
        break;
    case HOLD:
        held++;
        break;
    }
}

static size_t body_length(void) {
    return shape == BULK ? LONG_LENGTH : BODY_LENGTH;
}

// 1 when this is how the body goes on.
static int is_right(const struct connection *c, const char *got, size_t length) {
    return c->body + length <= body_length() && memcmp(got, shape == BULK ? blocks + c->body % BLOCK : BODY + c->body, length) == 0;
}

static void answered(struct connection *c) {
    int was_in_body = c->in_body;
    ssize_t got = was_in_body ? recv(c->fd, piece, sizeof piece, 0) : recv(c->fd, c->head + c->filled, sizeof c->head - c->filled, 0);
    if (got < 0 && errno == EAGAIN) {
        return;
    }
    if (got <= 0) {
        fail(c, "the connection ended before the answer was complete");
        return;
    }
    bytes += got;
    const char *body = piece;
    size_t length = got;
    if (!was_in_body) {
        c->filled += got;
        const char *end = memmem(c->head, c->filled, "\r\n\r\n", 4);
        if (end == NULL && c->filled < sizeof c->head) {
            return;
        }
        if (end == NULL || strncmp(c->head, "HTTP/1.1 200", 12) != 0) {
            fail(c, "the answer is not a 200");
            return;
        }
        c->in_body = 1;
        body = end + 4;
        length = c->head + c->filled - body;
    }
    if (!is_right(c, body, length)) {
        fail(c, "the answer is not the one that the backend gives");
        return;
    }
    c->body += length;
    if (c->body == body_length()) {
        complete(c);
    }
}

static int ascending(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static unsigned percentile(double share) {
    return requests ? latencies[(size_t)((requests - 1) * share)] : 0;
}

static int read_shape(const char *text) {
    const char *names[] = {"keep", "new", "rate:", "bulk", "hold"};
    for (int i = 0; i < 5; i++) {
        if (strncmp(text, names[i], strlen(names[i])) == 0) {
            shape = i;
            rate = shape == RATE ? strtoull(text + 5, NULL, 10) : 0;
            return shape != RATE || rate > 0;
        }
    }
    return 0;
}

int main(int argc, char **argv) {
    if (argc != 5 || !read_shape(argv[4])) {
        fprintf(stderr, "usage: load PORT CONNECTIONS SECONDS keep|new|rate:N|bulk|hold\n");
        return 2;
    }
    fill_blocks();
    target = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(atoi(argv[1])), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    size_t connections = atoi(argv[2]);
    epoll_fd = epoll_create1(0);
    uint64_t start = now(), end = start + (uint64_t)(atof(argv[3]) * 1e9), t;
    first_due = start;
    struct connection *all = calloc(connections, sizeof *all);
    for (size_t i = 0; i < connections; i++) {
        open_connection(&all[i]);
    }
    struct epoll_event events[EVENTS];
    while ((t = now()) < end && (shape != HOLD || held < connections)) {
        struct timespec pause = {.tv_nsec = 10000000};
        if (shape == RATE) {
            ask_what_is_due();
            pause.tv_nsec = until_next();
        }
        int n = epoll_pwait2(epoll_fd, events, EVENTS, &pause, NULL);
        for (int i = 0; i < n; i++) {
            struct connection *c = events[i].data.ptr;
            if (c->connecting) {
                connected(c);
            } else {
                answered(c);
            }
        }
    }
    if (shape == HOLD) {
        printf("held %zu\n", held);
        fflush(stdout);
        while (getchar() != EOF) {
        }
    }
    qsort(latencies, requests, sizeof *latencies, ascending);
    printf("requests %zu bytes %llu seconds %.3f errors %llu p50us %u p99us %u\n", requests, (unsigned long long)bytes, (t - start) / 1e9,
           (unsigned long long)errors, percentile(.5), percentile(.99));
    return 0;
}
