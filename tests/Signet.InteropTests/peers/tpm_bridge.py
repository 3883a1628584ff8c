"""Passes the commands of the TPM tools on to a software TPM behind the Unix socket PATH, and its responses back.

usage: tpm_bridge.py PATH     (as TPM2TOOLS_TCTI="cmd:python3 tpm_bridge.py PATH")
"""

import os
import socket
import sys

HEAD = 10


def length(message):
    return int.from_bytes(message[2:6], "big") if len(message) >= HEAD else HEAD


def whole(read):
    message = b""
    while len(message) < HEAD or len(message) < length(message):
        piece = read(length(message) - len(message))
        if not piece:
            sys.exit(0)
        message += piece
    return message


tpm = socket.socket(socket.AF_UNIX)
tpm.connect(sys.argv[1])
while True:
    tpm.sendall(whole(lambda most: os.read(0, most)))
    os.write(1, whole(tpm.recv))
