"""Connects to the Unix socket PATH and ends at once; a child inherits the connection and holds it until its input ends.

usage: unix_heir.py PATH     (prints the child's pid)
"""

import os
import socket
import sys

connection = socket.socket(socket.AF_UNIX)
connection.connect(sys.argv[1])
if os.fork() == 0:
    print(os.getpid(), flush=True)
    sys.stdin.read()
