import init, { WebClient, run_work } from './chat_web_client.js';
import { claim } from './claim.js';
import { known } from './dom.js';
import { goesWithTab, keepKeys, keepOutbox, keys, leaveToOther, outbox } from './store.js';
const here = new URL('.', import.meta.url);
const urls = globalThis.trustedTypes?.createPolicy('chat', { createScriptURL: (url) => url }) ?? { createScriptURL: (url) => url };
let loading;
export function load() {
loading ??= WebAssembly.compileStreaming(fetch(new URL('chat_web_client_bg.wasm', here)))
.then(async (module) => { await init({ module_or_path: module }); return module; });
return loading;
}
export class CommandError extends Error {
constructor(failed) {
super(failed.text);
this.code = failed.code;
this.cipher = failed.cipher;
this.retryAfter = failed.failure?.retry_after ?? null;
}
}
const FAULTS = new Map([[1002, 'protocol'], [1003, 'protocol'], [1007, 'protocol'], [1008, 'other'], [1009, 'frame_too_large'], [1010, 'protocol']]);
const CONNECTING = 15_000;
export const later = (tries) => 5_000 + Math.random() * Math.min(55_000, 5_000 * 2 ** tries);
export class Session {
#client;
#socket = null;
#timer;
#waiting = new Map();
#draining = false;
#over = false;
#ended = false;
#doubted = false;
#unkept = false;
restored = [];
#module; #tell;
constructor(url, module, who, tell) {
this.url = url;
this.#module = module;
this.#tell = tell;
const seed = crypto.getRandomValues(new Uint8Array(32));
this.#client = new WebClient(who.nick, who.label, who.secret, known, who.link, seed, performance.timeOrigin);
const abort = new AbortController();
const on = (target, what, act) => target.addEventListener(what, act, { signal: abort.signal });
const look = () => { if (!document.hidden) this.probe(); };
on(document, 'visibilitychange', look);
on(window, 'focus', look);
on(window, 'online', () => this.probe());
on(window, 'offline', () => { this.#doubted = true; this.#tell({ event: 'offline' }); this.probe(); });
let parted = false;
on(window, 'pagehide', () => {
if (!goesWithTab()) return;
parted = true;
this.#tell = () => {};
this.close();
});
on(window, 'pageshow', () => { if (parted) location.reload(); else this.probe(); });
this.forget = () => {
abort.abort();
clearTimeout(this.#timer);
const socket = this.#socket;
this.#socket = null;
this.#tell = () => {};
this.#over = true;
socket?.close(1000);
};
}
async start() {
const kept = outbox(this.url);
const mine = kept !== undefined && await claim(kept.session);
if (this.#over) return;
if (kept && !mine) leaveToOther(this.url);
const restored = mine ? this.#client.restore_outbox(performance.now(), kept.commands) : undefined;
if (restored === undefined) claim(this.#client.session(), true);
for (const { ticket, said } of JSON.parse(restored ?? '[]')) {
const end = this.#end(ticket);
end.catch(() => {});
this.restored.push({ said, end });
}
this.#unkept = true;
this.#client.start(performance.now());
this.#drain();
}
get member() { return this.#client.member(); }
get server() { return this.#client.server(); }
ask(name, ...args) {
if (this.#over) return Promise.reject(new CommandError({ code: 'ended', text: '', cipher: null, failure: null }));
let end;
try {
end = this.#end(this.#client[name](performance.now(), ...args));
} catch (error) {
return Promise.reject(error);
}
this.#unkept = true;
this.#drain();
return end;
}
#end(ticket) { return new Promise((resolve, reject) => this.#waiting.set(ticket, { resolve, reject })); }
keepKeys(room) { keepKeys(room, this.#client.keys(room)); }
restoreKeys(room) {
const kept = keys(room);
return kept !== null && this.#client.restore_keys(room, kept);
}
rename(nick, label) { this.#client.rename(performance.now(), nick, label); this.#drain(); }
probe() {
if (this.#over) return;
this.#client.timeout(performance.now());
this.#drain();
this.#client.probe(performance.now());
this.#drain();
}
get over() { return this.#over || this.#ended; }
close() { this.#client.close(performance.now()); this.#drain(); }
#drain() {
if (this.#draining || this.#over) return;
this.#draining = true;
try {
for (let step; !this.#over && (step = this.#client.next_step());) this.#take(step);
} finally {
this.#draining = false;
}
if (this.#over) return;
if (this.#unkept) {
this.#unkept = false;
keepOutbox(this.url, this.#client.session(), this.#client.outbox());
}
clearTimeout(this.#timer);
const at = this.#client.next_timeout();
if (at !== undefined) {
this.#timer = setTimeout(() => { this.#client.timeout(performance.now()); this.#drain(); }, Math.max(0, at - performance.now()));
}
}
#take(step) {
const what = step.what;
const bytes = step.bytes();
const event = step.event();
step.free();
switch (what) {
case 'connect': this.#connect(); break;
case 'send': this.#unkept = true; if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(bytes); break;
case 'disconnect': this.#disconnect(); break;
case 'work': this.#work(bytes); break;
case 'event': this.#event(JSON.parse(event)); break;
}
}
#connect() {
let socket;
try {
socket = new WebSocket(this.url, ['chat.v1.postcard']);
} catch {
this.#client.disconnected(performance.now());
return;
}
this.#socket = socket;
socket.binaryType = 'arraybuffer';
const mine = (what) => (event) => { if (this.#socket === socket) { what(event); this.#drain(); } };
const patience = setTimeout(mine(() => {
this.#socket = null;
socket.close();
this.#client.disconnected(performance.now());
}), CONNECTING);
socket.onopen = mine(() => { clearTimeout(patience); this.#client.connected(performance.now(), this.url); });
socket.onmessage = mine(({ data }) => {
this.#client.received(performance.now(), new Uint8Array(data));
if (this.#doubted) { this.#doubted = false; this.#event({ event: 'heard' }); }
});
socket.onclose = mine(({ code }) => {
clearTimeout(patience);
this.#socket = null;
const fault = FAULTS.get(code);
if (fault) this.#fail(fault);
else this.#client.disconnected(performance.now());
});
}
#fail(reason) {
const tell = this.#tell;
this.forget();
for (const { reject } of this.#waiting.values()) reject(new CommandError({ code: 'unknown', text: reason, cipher: null, failure: null }));
this.#waiting.clear();
tell({ event: 'ended', why: 'closed', reason });
}
#disconnect() {
this.#socket?.close(1000);
this.#socket = null;
this.#client.disconnected(performance.now());
}
#work(bytes) {
const take = (done) => { this.#client.done(performance.now(), done); this.#drain(); };
const instead = () => {
let done;
try { done = run_work(bytes); } catch { return this.#fail('other'); }
take(done);
};
let worker;
try {
worker = new Worker(urls.createScriptURL(new URL('worker.js', here).href), { type: 'module' });
} catch {
return queueMicrotask(instead);
}
worker.onmessage = ({ data }) => { worker.terminate(); take(data); };
worker.onerror = worker.onmessageerror = (event) => { event.preventDefault(); worker.terminate(); instead(); };
worker.postMessage({ module: this.#module, bytes });
}
#event(event) {
if (event.event === 'ended') this.#ended = true;
if (event.event === 'finished' || event.event === 'session_renewed') this.#unkept = true;
if (event.event === 'session_renewed') claim(this.#client.session(), true);
if (event.event !== 'finished') {
try { this.#tell(event); } catch (error) { reportError(error); }
return;
}
const waiting = this.#waiting.get(event.ticket);
this.#waiting.delete(event.ticket);
if (event.error) waiting?.reject(new CommandError(event.error));
else waiting?.resolve(event.outcome);
}
}
