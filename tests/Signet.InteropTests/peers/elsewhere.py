"""Makes FOLDER its root folder, prints its pid, and waits until its input ends.

usage: elsewhere.py FOLDER
"""
import os
import sys

os.chroot(sys.argv[1])
os.chdir("/")
print(os.getpid(), flush=True)
sys.stdin.read()
