// The driver of the wasm core: one WebSocket, one timer, a worker for passwords. It knows nothing of the protocol.

import init, { WebClient, run_work } from './chat_web_client.js';
import { claim } from './claim.js';
import { known } from './dom.js';
import { goesWithTab, keepKeys, keepOutbox, keys, leaveToOther, outbox } from './store.js';

/** @typedef {import('./types.js').CoreEvent} CoreEvent @typedef {import('./types.js').Failed} Failed */

const here = new URL('.', import.meta.url);
// Nothing on this page may make a script out of a text but this.
const urls = globalThis.trustedTypes?.createPolicy('chat', { createScriptURL: (url) => url }) ?? { createScriptURL: (url) => url };

/** @type {Promise<WebAssembly.Module> | undefined} */
let loading;

/** Loads the core, once. */
export function load() {
  loading ??= WebAssembly.compileStreaming(fetch(new URL('chat_web_client_bg.wasm', here)))
    .then(async (module) => { await init({ module_or_path: module }); return module; });
  return loading;
}

/** What came of a command that did not succeed. */
export class CommandError extends Error {
  /** @param {Failed} failed */
  constructor(failed) {
    super(failed.text);
    this.code = failed.code;
    this.cipher = failed.cipher;
    this.retryAfter = failed.failure?.retry_after ?? null;
  }
}

/** Close codes of RFC 6455 that find fault with what this page sent: it would only be said again. */
const FAULTS = new Map([[1002, 'protocol'], [1003, 'protocol'], [1007, 'protocol'], [1008, 'other'], [1009, 'frame_too_large'], [1010, 'protocol']]);

/** A server that takes no connection within so many milliseconds is tried again: one that stands still would keep us waiting for minutes. */
const CONNECTING = 15_000;

/**
 * How long to wait before trying again what only time heals: 5 to 60 s at random, and more with each try.
 * @param {number} tries so far
 */
export const later = (tries) => 5_000 + Math.random() * Math.min(55_000, 5_000 * 2 ** tries);

export class Session {
  /** @type {WebClient} */ #client;
  /** @type {WebSocket | null} */ #socket = null;
  /** @type {number | undefined} */ #timer;
  /** @type {Map<number, { resolve: (outcome: any) => void, reject: (error: Error) => void }>} */ #waiting = new Map();
  #draining = false;
  #over = false;
  #ended = false;
  /** The network is said to be gone; nothing was heard since. */ #doubted = false;
  /** What is asked and not done is not what was kept of it. */ #unkept = false;
  /** What goes on from an earlier life of the page. @type {{ said: { room: string, action: boolean, text: string } | null, end: Promise<any> }[]} */
  restored = [];
  #module; #tell;

  /**
   * @param {string} url of the WebSocket
   * @param {WebAssembly.Module} module
   * @param {{ nick: string, label: string, secret: Uint8Array, link: string }} who `link`: what a link to the server says behind its `#`
   * @param {(event: CoreEvent) => void} tell is called for every event but `finished`
   */
  constructor(url, module, who, tell) {
    /** Where the server is. */
    this.url = url;
    this.#module = module;
    this.#tell = tell;
    const seed = crypto.getRandomValues(new Uint8Array(32));
    this.#client = new WebClient(who.nick, who.label, who.secret, known, who.link, seed, performance.timeOrigin);
    const abort = new AbortController();
    const on = (target, what, act) => target.addEventListener(what, act, { signal: abort.signal });
    // Whoever looks again, or has a network again, does not wait for what is due later.
    const look = () => { if (!document.hidden) this.probe(); };
    on(document, 'visibilitychange', look);
    on(window, 'focus', look);
    on(window, 'online', () => this.probe());
    on(window, 'offline', () => { this.#doubted = true; this.#tell({ event: 'offline' }); this.probe(); });
    // The next one at this browser is somebody else, and finds the name free.
    let parted = false;
    on(window, 'pagehide', () => {
      if (!goesWithTab()) return;
      parted = true;
      this.#tell = () => {};
      this.close();
    });
    // A page that comes back out of the browser's memory has lost its connection, whether or not it was told.
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

  /** Connects. What is kept of an earlier life of the page goes on. */
  async start() {
    const kept = outbox(this.url);
    const mine = kept !== undefined && await claim(kept.session);
    if (this.#over) return;
    // Another tab goes on with what is kept in this one's storage: this one is its copy.
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

  /** This member's id. */
  get member() { return this.#client.member(); }

  /** The server's key, as links carry it. */
  get server() { return this.#client.server(); }

  /**
   * Gives a command of the core. The promise is kept when the server has answered.
   * @param {string} name
   * @param {...unknown} args
   * @returns {Promise<any>}
   */
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

  /** What comes of a command. @param {number} ticket @returns {Promise<any>} */
  #end(ticket) { return new Promise((resolve, reject) => this.#waiting.set(ticket, { resolve, reject })); }

  /** Keeps what opens a room for when the page is loaded anew in this tab. @param {string} room */
  keepKeys(room) { keepKeys(room, this.#client.keys(room)); }

  /** Whether what was kept of a room still opens it. @param {string} room */
  restoreKeys(room) {
    const kept = keys(room);
    return kept !== null && this.#client.restore_keys(room, kept);
  }

  /** @param {string} nick @param {string} label */
  rename(nick, label) { this.#client.rename(performance.now(), nick, label); this.#drain(); }

  /** Tries to connect at once if that is due later, or asks whether the server is there. */
  probe() {
    if (this.#over) return;
    this.#client.timeout(performance.now());
    this.#drain();
    this.#client.probe(performance.now());
    this.#drain();
  }

  /** Whether it has ended; nothing can be asked any more. */
  get over() { return this.#over || this.#ended; }

  /** Says good-bye. */
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

  /** @param {import('./chat_web_client.js').Step} step */
  #take(step) {
    const what = step.what;
    const bytes = step.bytes();
    const event = step.event();
    step.free();
    switch (what) {
      case 'connect': this.#connect(); break;
      // What cannot be sent, since the socket is about to close, is sent again by the next. What is sent has its number now, and is sealed.
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

  /** It cannot go on, and connecting again would not help. @param {string} reason */
  #fail(reason) {
    const tell = this.#tell;
    this.forget();
    for (const { reject } of this.#waiting.values()) reject(new CommandError({ code: 'unknown', text: reason, cipher: null, failure: null }));
    this.#waiting.clear();
    tell({ event: 'ended', why: 'closed', reason });
  }

  /** What was sent is still written; nobody waits for the other side. */
  #disconnect() {
    this.#socket?.close(1000);
    this.#socket = null;
    this.#client.disconnected(performance.now());
  }

  /**
   * Stretches a password elsewhere, with memory that is given back when it is done. Where there is no elsewhere, it is done here, and
   * the page stands still for a moment.
   * @param {Uint8Array} bytes
   */
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
    // A copy, for it may come to nothing there.
    worker.postMessage({ module: this.#module, bytes });
  }

  /** What the page makes of an event does not keep the next from being told. @param {CoreEvent} event */
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
