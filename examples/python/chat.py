"""A chat client: python3 chat.py ws://localhost:7080/ws NICK. Lines of input are said in the lobby. Needs `pip install websockets`.

It knows no cipher: of a lobby that has one it shows what is sent, and what it says there is refused."""

import asyncio, base64, itertools, json, os, sys

import websockets

LOBBY = base64.b64encode(bytes(16)).decode()


async def main(url, nick):
    async with websockets.connect(url, subprotocols=["chat.v1.json"], max_size=1_048_576) as socket:
        ids = itertools.count(1)
        say = lambda **message: socket.send(json.dumps(message))
        ask = lambda kind, txn, **body: say(type="request", id=next(ids), txn=txn, kind=kind, body=body)
        await say(type="hello", versions={"min": 1, "max": 1}, capabilities=[], agent="chat.py/1", nick=nick, label="python",
                  secret=base64.b64encode(os.urandom(32)).decode(), kept=False, resume=[])

        async def stay(interval):  # a server ends a connection on which nothing is said, and pings of RFC 6455 do not count
            for nonce in itertools.count(1):
                await asyncio.sleep(interval * 3 / 4 / 1000)
                await say(type="ping", nonce=nonce)

        async def speak():
            for txn in itertools.count(2):  # 1 was the join
                line = await asyncio.to_thread(sys.stdin.readline)
                if not line:
                    return await say(type="bye")
                await ask("send", txn, room=LOBBY, action=False, content={"plain": line.rstrip("\n")})

        async for message in map_json(socket):
            match message["type"]:
                case "welcome":
                    staying = asyncio.create_task(stay(message["ping_interval"]))
                    await ask("join", 1, room="lobby")
                case "ok" if message["kind"] == "join":
                    print("joined as", nick, flush=True)
                    speaking = asyncio.create_task(speak())
                case "records":
                    for record in message["records"]:
                        if record["kind"] == "message":
                            print(f'{record["nick"]}: {words(record["body"]["content"])}', flush=True)
                case "error":
                    print("refused:", message["code"], message["text"], flush=True)
                case "ping":
                    await say(type="pong", nonce=message["nonce"])
                case "closing":
                    print("closing:", message["reason"], flush=True)
                    await say(type="closed")
        print("closed with", socket.close_code, flush=True)


def words(content):
    return content.get("plain") or content.get("caesar") or "(encrypted)"


async def map_json(socket):
    try:
        while True:
            yield json.loads(await socket.recv())
    except websockets.ConnectionClosed:  # a server's reason is in the 4000s, which the package takes for an error
        pass


asyncio.run(main(*sys.argv[1:3]))
