let refused = { ...history.state?.chat };
let left = false;
function read(key, otherwise, where = 'localStorage') {
if (key in refused) return refused[key] ?? otherwise;
try {
return JSON.parse(globalThis[where].getItem(`chat.${key}`) ?? 'null') ?? otherwise;
} catch {
return otherwise;
}
}
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
function withTab() {
try {
history.replaceState({ ...history.state, chat: refused }, '');
} catch {
}
}
addEventListener('popstate', () => { if (Object.keys(refused).length || history.state?.chat) withTab(); });
export const step = (state) => history.pushState({ ...history.state, ...state }, '');
export const inside = () => read('inside', false, 'sessionStorage');
export function enter() {
left = false;
write('inside', true, 'sessionStorage');
write('outside', undefined, 'sessionStorage');
}
export const outside = () => read('outside', false, 'sessionStorage');
export function leave(known) {
for (const key of ['inside', 'keys', 'link', 'outbox', 'unsent', 'current', 'left']) write(key, undefined, 'sessionStorage');
if (known) write('outside', true, 'sessionStorage');
left = true;
}
const of = (key, url) => read(key, {}, 'sessionStorage')[url];
function keepOf(key, url, value) {
const all = read(key, {}, 'sessionStorage');
if (all[url] === value) return;
all[url] = value;
write(key, all, 'sessionStorage');
}
export const unsent = (url) => of('unsent', url) ?? {};
export function keepUnsent(url, room, what) {
const all = { ...unsent(url) };
if (!what && !(room in all)) return;
if (what) all[room] = what;
else delete all[room];
keepOf('unsent', url, all);
}
export function leaveToOther(url) {
for (const [room, kept] of Object.entries(unsent(url))) keepUnsent(url, room, kept.draft ? { ...kept, messages: [] } : null);
}
export const outbox = (url) => of('outbox', url);
export const keepOutbox = (url, session, commands) => keepOf('outbox', url, { session, commands });
export const current = (url) => of('current', url);
export const keepCurrent = (url, room) => keepOf('current', url, room);
export const pin = (url) => read('pins', {})[url] ?? '';
export function keepPin(url, key) {
if (key && key !== pin(url)) write('pins', { ...read('pins', {}), [url]: key });
}
export const link = () => read('link', '', 'sessionStorage');
export const keepLink = (text) => write('link', text, 'sessionStorage');
export const leftLobby = (url) => of('left', url) === true;
export const keepLeftLobby = (url, left) => keepOf('left', url, left || undefined);
export function keys(room) {
const kept = read('keys', {}, 'sessionStorage')[room];
return Array.isArray(kept) ? Uint8Array.from(kept) : null;
}
export function keepKeys(room, bytes) {
const all = read('keys', {}, 'sessionStorage');
if (!bytes && !(room in all)) return;
if (bytes) all[room] = [...bytes];
else delete all[room];
write('keys', all, 'sessionStorage');
}
export function secret(url, home) {
const all = read('secrets', {});
const is = (kept) => Array.isArray(kept) && kept.length === 32;
if (is(all[url])) return Uint8Array.from(all[url]);
const before = url === home ? read('secret', null) : null;
const fresh = is(before) ? Uint8Array.from(before) : crypto.getRandomValues(new Uint8Array(32));
write('secrets', { ...all, [url]: [...fresh] });
return fresh;
}
export const goesWithTab = () => 'secrets' in refused;
export const name = () => read('name', { nick: '', label: '' });
export const keepName = (nick, label) => write('name', { nick, label });
export const settings = () => ({ theme: 'auto', notify: false, address: '', ...read('settings', {}) });
export const keepSettings = (changed) => write('settings', { ...settings(), ...changed });
let fresh = {};
let writing = 0;
function writeRead() {
clearTimeout(writing);
writing = 0;
if (Object.keys(fresh).length) write('read', { ...read('read', {}), ...fresh });
fresh = {};
}
addEventListener('pagehide', writeRead);
export const readSoFar = () => ({ ...read('read', {}), ...fresh });
export function keepRead(room, epoch, seq) {
fresh[room] = { epoch, seq };
writing ||= setTimeout(writeRead, 500);
}
