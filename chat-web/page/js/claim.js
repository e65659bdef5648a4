// Which tab goes on with an outbox: only one may, for its requests are numbered. A tab that was duplicated has the other's in its storage.

/** Sessions that this page goes on with. @type {Set<number>} */
const held = new Set();
/** Those that are being asked for. @type {Map<number, { chance: number, lose: () => void }>} */
const wanted = new Map();
/** How long, in ms, a page that is just being left may hold what its successor asks for, and one that is asked may take to answer. */
const PATIENCE = 500;
/** @type {BroadcastChannel | undefined} */
let channel;

/**
 * Whether this page alone goes on with a session, for as long as it lives.
 * @param {number} session @param {boolean} [fresh] nobody else can have it
 * @returns {Promise<boolean>}
 */
export async function claim(session, fresh = false) {
  if (held.has(session)) return true;
  if (fresh) held.add(session);
  const mine = await (navigator.locks ? lock(`chat.session.${session}`) : ask(session));
  if (mine) held.add(session);
  return mine || fresh;
}

/** @param {string} name @returns {Promise<boolean>} */
function lock(name) {
  return new Promise((resolve) => {
    navigator.locks.request(name, { signal: AbortSignal.timeout(PATIENCE) }, () => { resolve(true); return new Promise(() => {}); })
      // Where there are no locks to be had, nobody is asked.
      .catch(({ name: why }) => resolve(why !== 'TimeoutError' && why !== 'AbortError'));
  });
}

/** Without locks, on plain HTTP: whoever has it says so. @param {number} session @returns {Promise<boolean>} */
function ask(session) {
  if (!globalThis.BroadcastChannel) return Promise.resolve(true);
  channel ??= listen();
  return new Promise((resolve) => {
    // Of two that ask at the same time, one has the better chance.
    const chance = Math.random();
    const over = (mine) => { wanted.delete(session); if (mine) held.add(session); resolve(mine); };
    wanted.set(session, { chance, lose: () => over(false) });
    channel.postMessage({ asks: session, chance });
    setTimeout(() => { if (wanted.has(session)) over(true); }, PATIENCE);
  });
}

function listen() {
  const listening = new BroadcastChannel('chat.sessions');
  listening.onmessage = ({ data: { asks, chance, holds } }) => {
    if (holds !== undefined) return wanted.get(holds)?.lose();
    const own = wanted.get(asks);
    if (held.has(asks) || own?.chance > chance) listening.postMessage({ holds: asks });
    // The other may not have heard this page ask: its channel was not there yet.
    else own?.lose();
  };
  return listening;
}
