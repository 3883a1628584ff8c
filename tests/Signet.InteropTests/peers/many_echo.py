# An application with as many connections as the machine allows: many_echo.py PORT sends back on each what it gets.
import resource
import select
import socket
import sys

_, most = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=4096)
listener.setblocking(False)
poll = select.epoll()
poll.register(listener, select.EPOLLIN)
connections = {}
while True:
    for fd, _ in poll.poll():
        if fd == listener.fileno():
            connection, _ = listener.accept()
            connections[connection.fileno()] = connection
            poll.register(connection, select.EPOLLIN)
            continue
        connection = connections[fd]
        try:
            received = connection.recv(65536)
            connection.sendall(received)
        except OSError:
            received = b""
        if not received:
            poll.unregister(fd)
            del connections[fd]
            connection.close()
