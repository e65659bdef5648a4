// What the tests share: a server, browsers, terminal clients, and people at the page.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { after } from 'node:test';
import { chromium } from 'playwright-core';

export const CLI = process.env.CHAT_CLI;
export const CHROMIUM = process.env.CHAT_CHROMIUM ?? '/usr/bin/chromium';
const SHOTS = join(import.meta.dirname, 'screenshots');
mkdirSync(SHOTS, { recursive: true });

/** How long anything may take that a test waits for. */
export const PATIENCE = Number(process.env.CHAT_PATIENCE ?? 60_000);

/** The data of all servers here: one that is started again has the key that it had. */
const HOME = mkdtempSync(join(tmpdir(), 'chat-home-'));
after(() => rmSync(HOME, { recursive: true, force: true }));

/** A program whose lines are waited for. */
export class Program {
  lines = [];
  #waiting = [];
  constructor(args, program = CLI) {
    // Nothing is kept in the folders of whoever runs the tests, and each at a terminal is another person.
    const env = { ...process.env, XDG_DATA_HOME: args[0] === 'chat' ? mkdtempSync(join(HOME, 'person-')) : HOME };
    this.child = spawn(program, args, { env, stdio: ['pipe', 'pipe', 'pipe'] });
    for (const stream of [this.child.stdout, this.child.stderr]) {
      createInterface({ input: stream }).on('line', (line) => {
        this.lines.push(line);
        this.#waiting = this.#waiting.filter((check) => !check(line));
      });
    }
    this.ended = new Promise((done) => this.child.on('close', done));
  }

  /** The first line, also an earlier one, that contains this; or the second, and so on. */
  until(part, nth = 1) {
    const found = this.lines.filter((line) => line.includes(part));
    if (found.length >= nth) return Promise.resolve(found[nth - 1]);
    let missing = nth - found.length;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no line with ${part} in\n${this.lines.join('\n')}`)), PATIENCE);
      this.#waiting.push((line) => {
        if (!line.includes(part) || (missing -= 1) > 0) return false;
        clearTimeout(timer);
        resolve(line);
        return true;
      });
    });
  }

  say(line) { this.child.stdin.write(`${line}\n`); }

  async end(signal) {
    if (signal) this.child.kill(signal);
    else this.child.stdin.end();
    return this.ended;
  }
}

/** A server of one test; `args` are more of its options. */
export async function serve(args = [], { listen = '127.0.0.1:0' } = {}) {
  const kept = args.includes('--data') ? [] : ['--memory'];
  const program = new Program(['serve', '--listen', listen, ...kept, ...args]);
  program.address = (await program.until('listening tcp ')).split(' ').at(-1);
  program.url = `http://${program.address}/`;
  return program;
}

/** Somebody at a terminal. */
export async function terminal(address, nick, args = []) {
  const program = new Program(['chat', address, '--nick', nick, '--commands', ...args]);
  await program.until('connected as');
  return program;
}

/** A browser of its own: nobody shares cookies or names with it. `preferences` are Chromium's, as a person sets them. */
export async function browser({ preferences, ...options } = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'chat-browser-'));
  if (preferences) {
    mkdirSync(join(folder, 'Default'));
    writeFileSync(join(folder, 'Default', 'Preferences'), JSON.stringify(preferences));
  }
  const context = await chromium.launchPersistentContext(folder, {
    executablePath: CHROMIUM,
    viewport: { width: 1280, height: 800 },
    ...options,
    args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync'],
  });
  context.setDefaultTimeout(PATIENCE);
  context.faults = [];
  if (process.env.CHAT_PAGE) await unbuilt(context);
  const close = context.close.bind(context);
  context.close = async () => { await close(); rmSync(folder, { recursive: true, force: true }); };
  return context;
}

/**
 * While one works on the page, `CHAT_PAGE=1` takes scripts and styles as they stand in `page/`, and the compiled client from `dist/`:
 * nothing has to be built in between. What is asked for, and how often, is not to be tested so.
 */
async function unbuilt(context) {
  const root = join(import.meta.dirname, '..');
  const types = { js: 'text/javascript', css: 'text/css', wasm: 'application/wasm', svg: 'image/svg+xml' };
  await context.route(/\/b-[0-9a-f]{16}\//, (route) => {
    const name = new URL(route.request().url()).pathname.split('/').at(-1);
    const path = ['page/js', 'page/texts', 'page', 'dist'].map((folder) => join(root, folder, name)).find(existsSync);
    return path ? route.fulfill({ body: readFileSync(path), contentType: types[name.split('.').at(-1)] }) : route.abort();
  });
}

/** A network between a browser and a server (`HOST:PORT`), which can be cut, held up in one direction (`hush`: only what WebSockets send), be gone, and let pages through but no WebSocket. */
export async function network(to) {
  const pairs = new Set();
  const net = { deaf: false, mute: false, hush: false, gone: false, pages: false };
  const listener = createServer((near) => {
    if (net.gone) return near.destroy();
    const far = connect(Number(to.split(':').at(-1)), '127.0.0.1');
    const pair = [near, far];
    pairs.add(pair);
    let socket = false;
    // What is held up is lost: the connection is cut before it goes on.
    near.on('data', (bytes) => {
      socket ||= bytes.includes('GET /ws');
      if (net.pages && bytes.includes('GET /ws')) near.destroy();
      else if (!net.mute && !(net.hush && socket)) far.write(bytes);
    });
    far.on('data', (bytes) => { if (!net.deaf) near.write(bytes); });
    for (const socket of pair) {
      socket.on('error', () => {});
      socket.on('close', () => { near.destroy(); far.destroy(); pairs.delete(pair); });
    }
  });
  await new Promise((done) => listener.listen(0, '127.0.0.1', done));
  net.url = `http://127.0.0.1:${listener.address().port}/`;
  net.cut = () => { for (const sockets of pairs) for (const socket of sockets) socket.destroy(); };
  net.end = () => { net.cut(); listener.close(); };
  return net;
}

/** What the tests of one file begin, and what ends it when they are done. */
export function things() {
  const ends = [];
  after(async () => { for (const end of ends.reverse()) await end(); });
  return {
    ends,
    server: async (...args) => { const it = await serve(...args); ends.push(() => it.end('SIGKILL')); return it; },
    window_: async (options) => { const it = await browser(options); ends.push(() => it.close()); return it; },
    term: async (...args) => { const it = await terminal(...args); ends.push(() => it.end('SIGKILL')); return it; },
    net: async (...args) => { const it = await network(...args); ends.push(() => it.end()); return it; },
    config: (text) => {
      const folder = mkdtempSync(join(tmpdir(), 'chat-test-'));
      ends.push(() => rmSync(folder, { recursive: true, force: true }));
      writeFileSync(join(folder, 'chat.toml'), text);
      return ['--config', join(folder, 'chat.toml')];
    },
    folder: () => { const it = mkdtempSync(join(tmpdir(), 'chat-test-')); ends.push(() => rmSync(it, { recursive: true, force: true })); return it; },
  };
}

/** Nothing went wrong in these browsers that nobody waited for. */
export const faultless = (...contexts) => { for (const { faults } of contexts) assert.deepEqual(faults, []); };

/** Opens the page and watches it for faults. */
export async function open(context, url) {
  const page = context.pages()[0] ?? await context.newPage();
  page.on('pageerror', (error) => context.faults.push(String(error)));
  page.on('console', (message) => {
    const text = message.text();
    // That a server is not there is what some tests are about.
    if (message.type() === 'error' && !text.includes('WebSocket connection')) context.faults.push(text);
  });
  await page.goto(url);
  return page;
}

/** Somebody in the chat at the page. */
export async function person(context, url, nick, label = '') {
  const page = await open(context, url);
  await page.locator('#nick').fill(nick);
  await page.locator('#label').fill(label);
  await page.getByRole('button', { name: 'Continue' }).click();
  await page.locator('#chat').waitFor();
  return page;
}

/** Writes a line and sends it. */
export async function say(page, text) {
  await page.locator('#text').fill(text);
  await page.locator('#text').press('Enter');
}

/** The message with this text, which has arrived. */
export const message = (page, text) => page.locator('.message:not(.on-its-way)', { hasText: text });

/** Waits until a message is there. */
export const heard = (page, text) => message(page, text).first().waitFor();

export const shot = (page, name) => page.screenshot({ path: join(SHOTS, `${name}.png`) });
export { SHOTS };

/** Stands between the pages of a window and their server. What it returns ends the last connection as a server that found fault with it. */
export async function faultfinder(context) {
  let last;
  await context.routeWebSocket(/\/ws$/, (socket) => {
    const far = socket.connectToServer();
    socket.onMessage((bytes) => far.send(bytes));
    far.onMessage((bytes) => socket.send(bytes));
    last = () => Promise.all([far.close(), socket.close({ code: 1009, reason: 'too long' })]);
  });
  return () => last();
}
