"""A WebSocket server: sends back what it gets, closes as it is asked to, and tells how others closed.

usage: ws_server.py PORT
"""

import asyncio
import sys
from urllib.parse import parse_qs, urlsplit

import websockets

closed = []


async def serve(socket, path):
    asked = parse_qs(urlsplit(path).query)
    if path.startswith("/close?"):
        await socket.close(int(asked["code"][0]), asked.get("reason", [""])[0])
        return
    if path == "/closed":
        await socket.send(" ".join(closed))
        return
    try:
        while True:
            await socket.send(await socket.recv())
    except websockets.ConnectionClosed:
        closed.append(f"{socket.close_code}:{socket.close_reason}")


async def main():
    async with websockets.serve(serve, "127.0.0.1", int(sys.argv[1]), max_size=None, subprotocols=["superchat", "chat"]):
        await asyncio.Future()


asyncio.run(main())
