function read(key, otherwise) {
try {
return JSON.parse(localStorage.getItem(`chat.${key}`) ?? 'null') ?? otherwise;
} catch {
return otherwise;
}
}
function write(key, value) {
try {
localStorage.setItem(`chat.${key}`, JSON.stringify(value));
} catch {
}
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
