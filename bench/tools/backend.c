// backend PORT: an HTTP/1.1 server on loopback that answers /bulk with the long body and everything else with the short one. One thread, one epoll.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "answer.h"

enum { MAX_HEAD = 8192, EVENTS = 256 };

struct connection {
    int fd;
    size_t owed; // of a long body
    size_t filled;
    char head[MAX_HEAD];
};

static int epoll_fd;

static void close_connection(struct connection *c) {
    close(c->fd);
    free(c);
}

static int listen_on(int port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 4096) != 0) {
        perror("backend: listen");
        exit(1);
    }
    return fd;
}

static void accept_all(int listener) {
    int fd, on = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        struct connection *c = calloc(1, sizeof *c);
        c->fd = fd;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c};
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
    }
}

// As much of a long body as the socket takes.
static int pay(struct connection *c) {
    while (c->owed > 0) {
        size_t piece = c->owed < BLOCK ? c->owed : BLOCK;
        ssize_t sent = send(c->fd, blocks + (LONG_LENGTH - c->owed) % BLOCK, piece, MSG_NOSIGNAL);
        if (sent < 0) {
            return errno == EAGAIN;
        }
        c->owed -= sent;
    }
    return 1;
}

// Answers every request head that is complete. Requests carry no body; a short answer fits the socket's buffer.
static int answer_all(struct connection *c) {
    char *end;
    while (c->owed == 0 && (end = memmem(c->head, c->filled, "\r\n\r\n", 4)) != NULL) {
        size_t used = end + 4 - c->head;
        int is_long = memcmp(c->head, LONG_REQUEST, 10) == 0;
        const char *answer = is_long ? LONG_HEAD : ANSWER;
        if (send(c->fd, answer, strlen(answer), MSG_NOSIGNAL) != (ssize_t)strlen(answer)) {
            return 0;
        }
        c->owed = is_long ? LONG_LENGTH : 0;
        c->filled -= used;
        memmove(c->head, c->head + used, c->filled);
        if (!pay(c)) {
            return 0;
        }
    }
    return c->filled < sizeof c->head;
}

static void serve(struct connection *c) {
    ssize_t got = recv(c->fd, c->head + c->filled, sizeof c->head - c->filled, 0);
    if (got > 0) {
        c->filled += got;
    } else if (got == 0 || errno != EAGAIN) {
        close_connection(c);
        return;
    }
    if (!pay(c) || !answer_all(c)) {
        close_connection(c);
    }
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: backend PORT\n");
        return 2;
    }
    fill_blocks();
    int listener = listen_on(atoi(argv[1]));
    epoll_fd = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL}, events[EVENTS];
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int n = epoll_wait(epoll_fd, events, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr == NULL) {
                accept_all(listener);
            } else {
                serve(events[i].data.ptr);
            }
        }
    }
}
