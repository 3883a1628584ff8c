"""A WebSocket client nobody here wrote, against ws_server.py or one that does the same. Prints a line for each thing that held; stops at the first that did not.

usage: ws_client.py HOST:PORT
"""

import asyncio
import os
import sys

import websockets

target = f"ws://{sys.argv[1]}"


def held(name, condition, seen=None):
    if not condition:
        sys.exit(f"did not hold: {name}: {seen!r}")
    print(name, flush=True)


async def echoed(socket, message):
    await socket.send(message)
    return await socket.recv() == message


async def closed():
    async with websockets.connect(f"{target}/closed") as socket:
        return (await socket.recv()).split(" ")


async def main():
    async with websockets.connect(f"{target}/chat?room=1", max_size=None, subprotocols=["chat"]) as socket:
        held("subprotocol", socket.subprotocol == "chat", socket.subprotocol)
        held("text", await echoed(socket, "grüß dich 🙂"))
        held("nothing", await echoed(socket, "") and await echoed(socket, b""))
        held("binary", await echoed(socket, os.urandom(100_000)))
        for size in (125, 126, 65535, 65536):
            held(f"a frame of {size}", await echoed(socket, bytes(size)))
        held("sixteen megabytes", await echoed(socket, os.urandom(16 * 1024 * 1024)))

        async def fragments():
            for i in range(50):
                yield f"piece {i} "

        await socket.send(fragments())
        whole = await socket.recv()
        held("fragments", whole == "".join(f"piece {i} " for i in range(50)), whole)
        await asyncio.wait_for(await socket.ping(b"are you there"), 30)
        held("ping and pong", socket.open)
        for i in range(500):
            await socket.send(str(i))
        held("five hundred in order", [await socket.recv() for _ in range(500)] == [str(i) for i in range(500)])
        await socket.close(4000, "enough")
        held("own close is answered", socket.close_code == 4000, socket.close_code)

    async with websockets.connect(f"{target}/close?code=4001&reason=leave") as socket:
        try:
            await socket.recv()
            held("close of the server", False)
        except websockets.ConnectionClosed as end:
            held("close of the server", (end.rcvd.code, end.rcvd.reason) == (4001, "leave"), end)

    # Half a connection: the client says that it sends no more without closing, as one that crashed.
    socket = await websockets.connect(f"{target}/half")
    await echoed(socket, "before")
    socket.transport.write_eof()
    await asyncio.wait_for(socket.wait_closed(), 30)
    held("half a connection ends the whole", not socket.open)
    for _ in range(200):
        # Those of the client that came before may still be among them.
        seen = (await closed())[-2:]
        if seen == ["4000:enough", "1006:"]:
            break
        await asyncio.sleep(0.05)
    held("the server saw both ends for what they were", seen == ["4000:enough", "1006:"], seen)

    try:
        await websockets.connect(f"{target}/forbidden")
        held("denied", False)
    except websockets.InvalidStatusCode as refusal:
        held("denied", refusal.status_code == 403, refusal.status_code)
    print("done")


asyncio.run(main())
