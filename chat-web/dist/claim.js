const held = new Set();
const wanted = new Map();
const PATIENCE = 500;
let channel;
export async function claim(session, fresh = false) {
if (held.has(session)) return true;
if (fresh) held.add(session);
const mine = await (navigator.locks ? lock(`chat.session.${session}`) : ask(session));
if (mine) held.add(session);
return mine || fresh;
}
function lock(name) {
return new Promise((resolve) => {
navigator.locks.request(name, { signal: AbortSignal.timeout(PATIENCE) }, () => { resolve(true); return new Promise(() => {}); })
.catch(({ name: why }) => resolve(why !== 'TimeoutError' && why !== 'AbortError'));
});
}
function ask(session) {
if (!globalThis.BroadcastChannel) return Promise.resolve(true);
channel ??= listen();
return new Promise((resolve) => {
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
else own?.lose();
};
return listening;
}
