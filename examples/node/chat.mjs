// A chat client: node chat.mjs ws://localhost:7037/ws NICK. Lines of input are said in the lobby.
// It knows no cipher: of a lobby that has one it shows what is sent, and what it says there is refused.
// Needs a Node with a WebSocket of its own: 22, or 20 with --experimental-websocket.

import { createInterface } from 'node:readline';

const [url, nick] = process.argv.slice(2);
const lobby = Buffer.alloc(16).toString('base64');
const socket = new WebSocket(url, ['chat.v1.json']);
let ids = 0;
let txns = 0;

const say = (message) => socket.send(JSON.stringify(message));
const ask = (kind, body) => say({ type: 'request', id: ++ids, txn: ++txns, kind, body });

socket.onopen = () => say({ type: 'guest', nick, label: 'node', agent: 'chat.mjs/1' });
socket.onerror = (event) => console.log('cannot connect:', event.message ?? '');
socket.onclose = (event) => {
  console.log('closed with', event.code);
  process.exit();
};

const handle = {
  welcome: ({ ping_interval }) => {
    // A server ends a connection on which nothing is said, and pings of RFC 6455 do not count.
    setInterval(() => say({ type: 'ping', nonce: 1 }), ping_interval * 3 / 4);
    ask('join', { room: 'lobby' });
  },
  ok: ({ kind }) => {
    if (kind !== 'join') return;
    console.log('joined as', nick);
    const lines = createInterface({ input: process.stdin });
    lines.on('line', (line) => ask('send', { room: lobby, content: { kind: 'plain', body: { text: line } } }));
    lines.on('close', () => say({ type: 'bye' }));
  },
  records: ({ records }) => records
    .filter(({ kind }) => kind === 'message')
    .forEach(({ nick, body }) => console.log(`${nick}: ${body.content.body.text ?? '(sealed)'}`)),
  error: ({ code, text }) => console.log('refused:', code, text),
  ping: ({ nonce }) => say({ type: 'pong', nonce }),
  closing: ({ reason }) => { console.log('closing:', reason); say({ type: 'closed' }); },
};
socket.onmessage = ({ data }) => { const message = JSON.parse(data); handle[message.type]?.(message); };
