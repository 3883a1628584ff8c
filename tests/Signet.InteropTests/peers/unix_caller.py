"""Connects to the Unix socket PATH, prints its pid, and holds the connection until its input ends.

usage: unix_caller.py PATH
"""

import os
import socket
import sys

connection = socket.socket(socket.AF_UNIX)
connection.connect(sys.argv[1])
print(os.getpid(), flush=True)
sys.stdin.read()
