// What is kept in this browser: who one is and how one likes the page; and, as long as this tab lives, that one is in, where, the keys of
// rooms and what was written and not sent. Never a password.

/**
 * What the browser does not keep (private windows, blocked storage, a full disk) stays here, and with this tab's place in its history,
 * which outlives loading the page anew and goes with the tab.
 * @type {Record<string, any>}
 */
let refused = { ...history.state?.chat };

/** One has left: nothing of this tab's is kept any more. */
let left = false;

/** @param {string} key @param {any} otherwise @param {'localStorage' | 'sessionStorage'} [where] */
function read(key, otherwise, where = 'localStorage') {
  if (key in refused) return refused[key] ?? otherwise;
  try {
    return JSON.parse(globalThis[where].getItem(`chat.${key}`) ?? 'null') ?? otherwise;
  } catch {
    return otherwise;
  }
}

/** @param {string} key @param {any} value none: it is forgotten @param {'localStorage' | 'sessionStorage'} [where] */
function write(key, value, where = 'localStorage') {
  if (left && where === 'sessionStorage' && value !== undefined) return;
  try {
    if (value === undefined) globalThis[where].removeItem(`chat.${key}`);
    else globalThis[where].setItem(`chat.${key}`, JSON.stringify(value));
    if (!(key in refused)) return;
    delete refused[key];
  } catch {
    if (value === undefined && !(key in refused)) return;
    if (value === undefined) delete refused[key];
    else refused[key] = value;
  }
  withTab();
}

/** Puts what was refused where it outlives loading the page anew. */
function withTab() {
  try {
    history.replaceState({ ...history.state, chat: refused }, '');
  } catch {
    // Too often or too much: then it lasts as long as the page.
  }
}
// Each step of the history has a state of its own.
addEventListener('popstate', () => { if (Object.keys(refused).length || history.state?.chat) withTab(); });

/** Goes a step forward in the history, to come back from. @param {object} state */
export const step = (state) => history.pushState({ ...history.state, ...state }, '');

/** Whether this tab was in the chat when its page was loaded anew. */
export const inside = () => read('inside', false, 'sessionStorage');
export function enter() {
  left = false;
  write('inside', true, 'sessionStorage');
  write('outside', undefined, 'sessionStorage');
}
/** Whether one has left the chat in this tab, and so is not led into it although one is known. */
export const outside = () => read('outside', false, 'sessionStorage');
/** Nothing of this tab's is kept any more. @param {boolean} known whoever loads the page anew would be led in otherwise */
export function leave(known) {
  for (const key of ['inside', 'keys', 'link', 'outbox', 'unsent', 'current', 'left']) write(key, undefined, 'sessionStorage');
  if (known) write('outside', true, 'sessionStorage');
  left = true;
}

/** The entry of one server, among those of all. @param {string} key @param {string} url */
const of = (key, url) => read(key, {}, 'sessionStorage')[url];
/** @param {string} key @param {string} url @param {any} value */
function keepOf(key, url, value) {
  const all = read(key, {}, 'sessionStorage');
  if (all[url] === value) return;
  all[url] = value;
  write(key, all, 'sessionStorage');
}

/** What was written and not sent, by room. @param {string} url @returns {Record<string, { view: any, draft: string, messages: any[] }>} */
export const unsent = (url) => of('unsent', url) ?? {};
/** @param {string} url @param {string} room @param {{ view: any, draft: string, messages: any[] } | null} what none: it is forgotten */
export function keepUnsent(url, room, what) {
  const all = { ...unsent(url) };
  if (!what && !(room in all)) return;
  if (what) all[room] = what;
  else delete all[room];
  keepOf('unsent', url, all);
}

/** What was on its way is on its way in the tab that this one is a copy of; what is being written is here as well. @param {string} url */
export function leaveToOther(url) {
  for (const [room, kept] of Object.entries(unsent(url))) keepUnsent(url, room, kept.draft ? { ...kept, messages: [] } : null);
}

/** What was asked and is not done, and of which session. @param {string} url @returns {{ session: number, commands: string } | undefined} */
export const outbox = (url) => of('outbox', url);
/** @param {string} url @param {number} session @param {string} commands */
export const keepOutbox = (url, session, commands) => keepOf('outbox', url, { session, commands });

/** The room that was looked at. @param {string} url @returns {string | undefined} */
export const current = (url) => of('current', url);
/** @param {string} url @param {string} room */
export const keepCurrent = (url, room) => keepOf('current', url, room);

/** The key that the server at this address had, as links carry it. @param {string} url @returns {string} */
export const pin = (url) => read('pins', {})[url] ?? '';
/** @param {string} url @param {string} key nothing: it is unknown */
export function keepPin(url, key) {
  if (key && key !== pin(url)) write('pins', { ...read('pins', {}), [url]: key });
}

/** What the link said that led here, behind its `#`. @returns {string} */
export const link = () => read('link', '', 'sessionStorage');
/** @param {string} text */
export const keepLink = (text) => write('link', text, 'sessionStorage');

/** Whether one has left the lobby, and so does not want to be led into it. @param {string} url @returns {boolean} */
export const leftLobby = (url) => of('left', url) === true;
/** @param {string} url @param {boolean} left */
export const keepLeftLobby = (url, left) => keepOf('left', url, left || undefined);

/** What opens a room. @param {string} room @returns {Uint8Array | null} */
export function keys(room) {
  const kept = read('keys', {}, 'sessionStorage')[room];
  return Array.isArray(kept) ? Uint8Array.from(kept) : null;
}
/** @param {string} room @param {Uint8Array | undefined} bytes none: it is forgotten */
export function keepKeys(room, bytes) {
  const all = read('keys', {}, 'sessionStorage');
  if (!bytes && !(room in all)) return;
  if (bytes) all[room] = [...bytes];
  else delete all[room];
  write('keys', all, 'sessionStorage');
}

/**
 * The secret that makes one the member one is, at one server: no server is shown that of another.
 * @param {string} url of the server @param {string} home of the server that this page comes from, whose secret was the only one once
 * @returns {Uint8Array}
 */
export function secret(url, home) {
  const all = read('secrets', {});
  const is = (kept) => Array.isArray(kept) && kept.length === 32;
  if (is(all[url])) return Uint8Array.from(all[url]);
  const before = url === home ? read('secret', null) : null;
  const fresh = is(before) ? Uint8Array.from(before) : crypto.getRandomValues(new Uint8Array(32));
  write('secrets', { ...all, [url]: [...fresh] });
  return fresh;
}

/** Whether the secrets go with this tab: whoever closes it is somebody new, and has to leave the name to that one. */
export const goesWithTab = () => 'secrets' in refused;

/** Last name and label. @returns {{ nick: string, label: string }} */
export const name = () => read('name', { nick: '', label: '' });
/** @param {string} nick @param {string} label */
export const keepName = (nick, label) => write('name', { nick, label });

/** @returns {{ theme: 'auto' | 'light' | 'dark', notify: boolean, address: string }} */
export const settings = () => ({ theme: 'auto', notify: false, address: '', ...read('settings', {}) });
/** @param {object} changed */
export const keepSettings = (changed) => write('settings', { ...settings(), ...changed });

/** What is not written yet of how far rooms were read. */
let fresh = {};
let writing = 0;
function writeRead() {
  clearTimeout(writing);
  writing = 0;
  if (Object.keys(fresh).length) write('read', { ...read('read', {}), ...fresh });
  fresh = {};
}
addEventListener('pagehide', writeRead);

/** How far each room was read. @returns {Record<string, { epoch: number, seq: number }>} */
export const readSoFar = () => ({ ...read('read', {}), ...fresh });
/** Keeps it, within half a second. @param {string} room @param {number} epoch @param {number} seq */
export function keepRead(room, epoch, seq) {
  fresh[room] = { epoch, seq };
  writing ||= setTimeout(writeRead, 500);
}
