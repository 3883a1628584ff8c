"""A process connects to the agent and dies; its heir keeps the connection and relays it to whoever connects to OWN-SOCKET. To the agent the peer is the
dead one. Prints "listening", and ends after half a minute at the latest.

usage: heir.py AGENT-SOCKET OWN-SOCKET
"""
import os
import select
import signal
import socket
import sys

agent_path, own_path = sys.argv[1:3]
listener = socket.socket(socket.AF_UNIX)
listener.bind(own_path)
listener.listen(1)

# The one that connects: its child keeps the connection, itself it ends.
testator = os.fork()
if testator == 0:
    agent = socket.socket(socket.AF_UNIX)
    agent.connect(agent_path)
    if os.fork() != 0:
        os._exit(0)
    os.setsid()
    signal.alarm(30)
    sys.stdout.write("listening\n")
    sys.stdout.flush()
    client, _ = listener.accept()
    while True:
        ready, _, _ = select.select([agent, client], [], [])
        for source in ready:
            data = source.recv(65536)
            if not data:
                os._exit(0)
            (client if source is agent else agent).sendall(data)
os.waitpid(testator, 0)
