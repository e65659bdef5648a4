// What is kept in this browser: who one is and how one likes the page; and, as long as this tab lives, that one is in and the keys of
// rooms. Never a password.

/** @param {string} key @param {any} otherwise @param {'localStorage' | 'sessionStorage'} [where] */
function read(key, otherwise, where = 'localStorage') {
  try {
    return JSON.parse(globalThis[where].getItem(`chat.${key}`) ?? 'null') ?? otherwise;
  } catch {
    return otherwise;
  }
}

/** @param {string} key @param {any} value @param {'localStorage' | 'sessionStorage'} [where] */
function write(key, value, where = 'localStorage') {
  try {
    globalThis[where].setItem(`chat.${key}`, JSON.stringify(value));
  } catch {
    // Private windows may refuse; then it lasts as long as the page.
  }
}

/** Whether this tab was in the chat when its page was loaded anew. */
export const inside = () => read('inside', false, 'sessionStorage');
export const enter = () => write('inside', true, 'sessionStorage');
/** Nothing of this tab's is kept any more. */
export function leave() {
  write('inside', false, 'sessionStorage');
  write('keys', {}, 'sessionStorage');
}

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
