// The requests and answers of the benchmarks. The load generator compares every answer's body with them, byte for byte.
#ifndef ANSWER_H
#define ANSWER_H

#include <string.h>

#define HOST "Host: orders.shop.svc.cluster.local\r\n\r\n"
#define REQUEST "GET /bench HTTP/1.1\r\n" HOST
#define BODY                                             \
    "0123456789 123456789 123456789 123456789 123456789 " \
    "0123456789 123456789 123456789 123456789 12345678"
#define BODY_LENGTH (sizeof BODY - 1)

_Static_assert(BODY_LENGTH == 100, "the head below says Content-Length: 100");

#define ANSWER "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 100\r\n\r\n" BODY

// A body that is too long for any buffer on the way: one block over and over, so that a piece that is lost, doubled or moved shows.
enum { BLOCK = 65521, LONG_LENGTH = 64 << 20 };

#define LONG_REQUEST "GET /bulk HTTP/1.1\r\n" HOST
#define LONG_HEAD "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: 67108864\r\n\r\n"

_Static_assert(LONG_LENGTH == 67108864, "the head above says so");

// Two blocks, one after the other: every stretch of up to a block's length lies somewhere in one piece.
static char blocks[2 * BLOCK];

static void fill_blocks(void) {
    unsigned state = 1;
    for (int i = 0; i < BLOCK; i++) {
        state = state * 1103515245u + 12345u;
        blocks[i] = state >> 16;
    }
    memcpy(blocks + BLOCK, blocks, BLOCK);
}

#endif
