"""A chat client: python3 chat.py ws://HOST:PORT/ws NICK. Lines of input are said in the lobby."""
import base64, json, os, queue, socket, sys, threading, time, urllib.parse

url, nick = urllib.parse.urlsplit(sys.argv[1]), sys.argv[2]
encoded = lambda data: base64.b64encode(data).decode()
sock, lock = socket.create_connection((url.hostname, url.port)), threading.Lock()
answers = queue.Queue()
sock.sendall(f"GET {url.path} HTTP/1.1\r\nHost: {url.netloc}\r\nConnection: Upgrade\r\n"
             f"Upgrade: websocket\r\nSec-WebSocket-Key: {encoded(os.urandom(16))}\r\n"
             "Sec-WebSocket-Version: 13\r\n"
             "Sec-WebSocket-Protocol: chat.v1.json\r\n\r\n".encode())
stream = sock.makefile("rb")
head = list(iter(lambda: stream.readline().strip(), b""))
if b" 101 " not in head[0]: sys.exit("there is no chat at that address")

def frame(opcode, body):
    size = bytes([128 | len(body)]) if len(body) < 126 else b"\xfe" + len(body).to_bytes(2, "big")
    with lock: sock.sendall(bytes([128 | opcode]) + size + bytes(4) + body)  # masked with zeros

say = lambda **message: frame(1, json.dumps(message).encode())

def ask(kind, txn, **body):
    say(type="request", id=txn, txn=txn, kind=kind, body=body)
    if (answer := answers.get())["type"] == "error":
        print("refused:", answer["code"], answer["text"], flush=True)

def listen():
    while head := stream.read(2):
        opcode, size = head
        if size > 125: size = int.from_bytes(stream.read(2 if size == 126 else 8), "big")
        body = stream.read(size)
        if opcode == 0x88: break  # the server's close frame, which is answered by another
        message = json.loads(body)
        if message["type"] in ("welcome", "ok", "error"): answers.put(message)
        for record in message.get("records", []):
            if record["kind"] == "message":
                text = record["body"]["content"]["body"].get("text", "(sealed)")
                print(f'{record["nick"]}: {text}', flush=True)
        if message["type"] == "closing":
            print("closing:", message["reason"], flush=True); say(type="closed")
    print("closed with", int.from_bytes(body[:2], "big"), flush=True)
    frame(8, body[:2]); os._exit(0)

threading.Thread(target=listen).start()
say(type="guest", nick=nick, label="python", agent="chat.py/1")
if (welcome := answers.get())["type"] == "error": print("refused:", welcome["text"]); os._exit(1)
def stay():  # a server ends a silent connection, and pings of RFC 6455 do not count
    while True: time.sleep(welcome["ping_interval"] * 3 / 4000); say(type="ping", nonce=1)
threading.Thread(target=stay, daemon=True).start()
ask("join", 1, room="lobby")
print("joined as", welcome["nick"], flush=True)
for txn, line in enumerate(sys.stdin, 2):
    ask("send", txn, room=encoded(bytes(16)),
        content={"kind": "plain", "body": {"text": line.rstrip("\n")}})
say(type="bye")
