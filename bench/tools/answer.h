// The one request and the one answer of the benchmarks. The load generator compares every answer's body with it, byte for byte.
#ifndef ANSWER_H
#define ANSWER_H

#define REQUEST "GET /bench HTTP/1.1\r\nHost: orders.shop.svc.cluster.local\r\n\r\n"
#define BODY                                             \
    "0123456789 123456789 123456789 123456789 123456789 " \
    "0123456789 123456789 123456789 123456789 12345678"
#define BODY_LENGTH (sizeof BODY - 1)

_Static_assert(BODY_LENGTH == 100, "the head below says Content-Length: 100");

#define ANSWER "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 100\r\n\r\n" BODY

#endif
