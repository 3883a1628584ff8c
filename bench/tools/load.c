// load PORT CONNECTIONS SECONDS keep|new: a closed loop of HTTP/1.1 requests over plaintext to 127.0.0.1:PORT. One thread, one epoll.
//   keep  each connection sends its next request when the answer is complete
//   new   each request has a connection of its own, closed after the answer; latency then counts from connect()
// Prints one line: requests N seconds S errors N p50us N p99us N. Only what completed within SECONDS counts.
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

enum { MAX_ANSWER = 4096, EVENTS = 256, MAX_ERRORS = 1000 };

struct connection {
    int fd;
    int connecting;
    uint64_t started;
    size_t filled;
    char answer[MAX_ANSWER];
};

static int epoll_fd, keep;
static struct sockaddr_in target;
static uint64_t errors;
static uint32_t *latencies; // microseconds
static size_t requests, room;

static uint64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static void open_connection(struct connection *c) {
    int on = 1;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    c->connecting = 1;
    c->filled = 0;
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
    c->filled = 0;
    if (send(c->fd, REQUEST, sizeof REQUEST - 1, MSG_NOSIGNAL) != sizeof REQUEST - 1) {
        fail(c, "the request could not be sent");
    }
}

static void count(struct connection *c) {
    if (requests == room) {
        room = room ? room * 2 : 1 << 16;
        latencies = realloc(latencies, room * sizeof *latencies);
    }
    latencies[requests++] = (now() - c->started) / 1000;
}

// 1 when the answer is complete and right, 0 when more is to come, -1 when it is wrong.
static int judge(const struct connection *c) {
    const char *end = memmem(c->answer, c->filled, "\r\n\r\n", 4);
    if (end == NULL) {
        return c->filled == sizeof c->answer ? -1 : 0;
    }
    size_t body = c->filled - (end + 4 - c->answer);
    if (body > BODY_LENGTH || strncmp(c->answer, "HTTP/1.1 200", 12) != 0) {
        return -1;
    }
    return body < BODY_LENGTH ? 0 : memcmp(end + 4, BODY, BODY_LENGTH) == 0 ? 1 : -1;
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
    ask(c);
}

static void answered(struct connection *c) {
    ssize_t got = recv(c->fd, c->answer + c->filled, sizeof c->answer - c->filled, 0);
    if (got < 0 && errno == EAGAIN) {
        return;
    }
    if (got <= 0) {
        fail(c, "the connection ended before the answer was complete");
        return;
    }
    c->filled += got;
    int verdict = judge(c);
    if (verdict < 0) {
        fail(c, "the answer is not the one that the backend gives");
    } else if (verdict > 0) {
        count(c);
        if (keep) {
            c->started = now();
            ask(c);
        } else {
            close(c->fd);
            open_connection(c);
        }
    }
}

static int ascending(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static unsigned percentile(double share) {
    return requests ? latencies[(size_t)((requests - 1) * share)] : 0;
}

int main(int argc, char **argv) {
    if (argc != 5) {
        fprintf(stderr, "usage: load PORT CONNECTIONS SECONDS keep|new\n");
        return 2;
    }
    target = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(atoi(argv[1])), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int connections = atoi(argv[2]);
    keep = strcmp(argv[4], "keep") == 0;
    epoll_fd = epoll_create1(0);
    uint64_t start = now(), end = start + (uint64_t)(atof(argv[3]) * 1e9), t;
    struct connection *all = calloc(connections, sizeof *all);
    for (int i = 0; i < connections; i++) {
        open_connection(&all[i]);
    }
    struct epoll_event events[EVENTS];
    while ((t = now()) < end) {
        int n = epoll_wait(epoll_fd, events, EVENTS, 10);
        for (int i = 0; i < n; i++) {
            struct connection *c = events[i].data.ptr;
            if (c->connecting) {
                connected(c);
            } else {
                answered(c);
            }
        }
    }
    qsort(latencies, requests, sizeof *latencies, ascending);
    printf("requests %zu seconds %.3f errors %llu p50us %u p99us %u\n", requests, (t - start) / 1e9, (unsigned long long)errors,
           percentile(.5), percentile(.99));
    return 0;
}
