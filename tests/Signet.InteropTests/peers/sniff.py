"""Writes every frame that passes an interface to a file, until it is told to end: sniff.py INTERFACE FILE"""
import socket
import sys

ETH_P_ALL = 0x0003

with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL)) as wire, open(sys.argv[2], "wb", buffering=0) as file:
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 * 1024 * 1024)
    wire.bind((sys.argv[1], 0))
    print("sniffing", flush=True)
    while True:
        file.write(wire.recv(65535))
