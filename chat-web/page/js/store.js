// What is kept in this browser: who one is, and how one likes the page. Never a password or a room's key.

/** @param {string} key @param {any} otherwise */
function read(key, otherwise) {
  try {
    return JSON.parse(localStorage.getItem(`chat.${key}`) ?? 'null') ?? otherwise;
  } catch {
    return otherwise;
  }
}

/** @param {string} key @param {any} value */
function write(key, value) {
  try {
    localStorage.setItem(`chat.${key}`, JSON.stringify(value));
  } catch {
    // Private windows may refuse; then it lasts as long as the page.
  }
}

/** The secret that makes one the member one is. @returns {Uint8Array} */
export function secret() {
  const kept = read('secret', null);
  if (Array.isArray(kept) && kept.length === 32) return Uint8Array.from(kept);
  const fresh = crypto.getRandomValues(new Uint8Array(32));
  write('secret', [...fresh]);
  return fresh;
}

/** Last name and label. @returns {{ nick: string, label: string }} */
export const name = () => read('name', { nick: '', label: '' });
/** @param {string} nick @param {string} label */
export const keepName = (nick, label) => write('name', { nick, label });

/** @returns {{ theme: 'auto' | 'light' | 'dark', notify: boolean, address: string }} */
export const settings = () => ({ theme: 'auto', notify: false, address: '', ...read('settings', {}) });
/** @param {object} changed */
export const keepSettings = (changed) => write('settings', { ...settings(), ...changed });

/** How far each room was read. @returns {Record<string, { epoch: number, seq: number }>} */
export const readSoFar = () => read('read', {});
/** @param {string} room @param {number} epoch @param {number} seq */
export function keepRead(room, epoch, seq) {
  const all = readSoFar();
  all[room] = { epoch, seq };
  write('read', all);
}
