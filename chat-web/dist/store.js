function read(key, otherwise, where = 'localStorage') {
try {
return JSON.parse(globalThis[where].getItem(`chat.${key}`) ?? 'null') ?? otherwise;
} catch {
return otherwise;
}
}
function write(key, value, where = 'localStorage') {
try {
globalThis[where].setItem(`chat.${key}`, JSON.stringify(value));
} catch {
}
}
export const inside = () => read('inside', false, 'sessionStorage');
export const enter = () => write('inside', true, 'sessionStorage');
export function leave() {
write('inside', false, 'sessionStorage');
write('keys', {}, 'sessionStorage');
}
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
export function secret() {
const kept = read('secret', null);
if (Array.isArray(kept) && kept.length === 32) return Uint8Array.from(kept);
const fresh = crypto.getRandomValues(new Uint8Array(32));
write('secret', [...fresh]);
return fresh;
}
export const name = () => read('name', { nick: '', label: '' });
export const keepName = (nick, label) => write('name', { nick, label });
export const settings = () => ({ theme: 'auto', notify: false, address: '', ...read('settings', {}) });
export const keepSettings = (changed) => write('settings', { ...settings(), ...changed });
export const readSoFar = () => read('read', {});
export function keepRead(room, epoch, seq) {
const all = readSoFar();
all[room] = { epoch, seq };
write('read', all);
}
