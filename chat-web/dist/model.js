import { harmless } from './chat_web_client.js';
import { LOBBY, Room, isSaid } from './room.js';
import { CommandError } from './session.js';
import * as store from './store.js';
import { mentions } from './typing.js';
const PAGE = 50;
const MOST = 600;
const KEPT = 400;
export class Model {
rooms = new Map();
current = null;
me = { member: '', nick: '', label: '' };
status = 'connecting';
lobby = false;
longest = Infinity;
watching = () => !document.hidden;
constructor(session, changed) {
this.session = session;
this.changed = (what, detail) => {
try { changed(what, detail); } catch (error) { reportError(error); }
};
this.me.member = session.member;
this.kept = store.unsent(session.url);
this.lobbyKey = {};
}
take(event) {
switch (event.event) {
case 'welcomed': return this.#welcomed(event);
case 'entered': return this.#entered(event.view, event.how);
case 'record': return this.#record(event.room, event.shown);
case 'presence': return this.#presence(event.room, event);
case 'named': return this.changed('named', event);
case 'silent': { const room = this.rooms.get(event.room); if (room) this.changed('silent', { room }); return; }
case 'removed': return this.#removed(event.room, event.reason);
case 'hello_refused': return this.changed('nameless', event.failure);
case 'offline': case 'heard': return this.changed(event.event);
case 'closing': return this.changed('closing', event.closing);
case 'disconnected':
this.status = 'waiting';
return this.changed('status', event.retry_in);
case 'ended':
this.status = 'ended';
return this.changed('ended', event);
}
}
#welcomed({ welcome, again }) {
this.me = { member: welcome.member, nick: welcome.nick, label: welcome.label };
this.lobby = welcome.lobby;
this.longest = welcome.limits.message_bytes;
this.status = 'up';
this.changed('me');
const joins = !again && welcome.lobby && !welcome.rooms.includes(LOBBY) && !store.leftLobby(this.session.url);
if (!again) {
for (const [id, { view }] of Object.entries(this.kept)) {
if (welcome.rooms.includes(id) || (id === LOBBY && joins) || !view) continue;
const room = new Room(view);
room.out = 'not_member';
room.oldest = 0;
this.#recall(room);
this.rooms.set(id, room);
this.changed('rooms');
}
}
for (const room of this.rooms.values()) {
const some = room.pending.filter((item) => item.state === 'queued' && item.asked);
for (const item of some) item.state = 'pending';
if (some.length) { this.keep(room); this.changed('pending', { room }); }
}
this.changed('up', again);
if (joins) this.enterLobby();
}
#recall(room) {
const kept = this.kept[room.id];
delete this.kept[room.id];
if (!kept) return;
room.draft ||= kept.draft;
for (const item of kept.messages) {
const end = this.#goesOn(room, item);
if (end) {
const going = { ...item, plain: harmless(item.text), state: 'pending', why: '', asked: true };
room.pending.push(going);
this.#follow(room, going, end);
continue;
}
const state = item.state === 'queued' && room.out !== null ? 'failed' : item.state === 'failed' || item.state === 'queued' ? item.state : 'unknown';
room.pending.push({ ...item, plain: harmless(item.text), state, why: state === 'failed' ? item.why || 'not_in_room' : '' });
}
}
#goesOn(room, { text, action, state }) {
if (state === 'failed' || state === 'sent') return null;
const { restored } = this.session;
const at = restored.findIndex(({ said }) => said?.room === room.id && said.action === action && said.text === text);
return at < 0 ? null : restored.splice(at, 1)[0].end;
}
keep(room) {
const { view: { kind, number, name, peer, cipher }, draft } = room;
const view = { room: room.id, kind, number, name, peer, cipher, topic: '', place: room.view.place, role: 'member', members: 0 };
const messages = room.pending.map(({ text, action, time, state, why, after, seq }) => ({ text, action, time, state, why, after, seq }));
store.keepUnsent(this.session.url, room.id, draft || messages.length ? { view, draft, messages } : null);
}
write(room, text) {
if (!room || room.draft === text) return;
room.draft = text;
this.keep(room);
}
get busy() { return [...this.rooms.values()].some(({ pending }) => pending.some(({ state }) => state === 'pending' || state === 'queued')); }
isIn(id) { return this.rooms.get(id)?.out === null; }
enterLobby() {
store.keepLeftLobby(this.session.url, false);
return this.session.ask('join', undefined, this.lobbyKey.password, this.lobbyKey.key)
.catch((error) => this.changed('locked-out', error));
}
#entered(view, how) {
let room = this.rooms.get(view.room);
const fresh = !room || room.out !== null;
if (!room) {
room = new Room(view);
this.rooms.set(view.room, room);
}
this.#recall(room);
const missed = how === 'afresh' ? { epoch: room.view.place.epoch, seq: room.view.place.seq, at: view.place.seq } : null;
room.view = view;
room.out = null;
if (fresh || missed) this.#begin(room);
room.missed = missed;
if (room.sealed || room.insecure) {
if (how === 'new') room.lacksKey = !this.session.restoreKeys(room.id);
else this.session.keepKeys(room.id);
if (how === 'command') room.lacksKey = false;
}
const read = store.readSoFar()[view.room];
if (fresh && how === 'new' && read?.epoch === view.place.epoch) room.readTo = read.seq;
else if (fresh) room.readTo = view.place.seq;
this.changed('rooms');
if (room.oldest === null) this.load(room);
if (view.kind !== 'private' && view.presence === 'full') this.loadMembers(room);
this.changed('entered', { room, how });
const waiting = room.pending.filter((item) => item.state === 'queued' && !item.asked);
for (const item of waiting) this.#deliver(room, item);
if (waiting.length) this.changed('pending', { room });
}
#begin(room) {
room.items = [];
room.oldest = null;
room.loading = false;
room.generation += 1;
}
#record(id, shown) {
const room = this.rooms.get(id);
if (!room) return;
const { record } = shown;
const mine = record.member === this.me.member;
room.view.place = { epoch: room.view.place.epoch, seq: record.seq };
if (record.kind === 'topic') room.view.topic = record.body.topic;
if (record.kind === 'redacted') this.#blank(room, record.body.seq);
this.#membership(room, shown);
const before = mine && isSaid(shown) ? this.#settle(room, shown) : -1;
room.items.push({ shown });
const item = room.items.at(-1);
this.changed('item', { room, item, replaces: before });
if (record.kind === 'unbanned') this.#lifted(room, record.body.target);
const seen = room === this.current && this.watching();
if (isSaid(shown) && !mine) {
const mention = this.#mentioned(room, shown);
if (!seen) {
room.unread += 1;
room.mentioned ||= mention;
this.changed('rooms');
}
this.changed('said', { room, shown, mention, seen });
}
if (seen) this.markRead(room);
if (room !== this.current) this.trim(room);
}
#lifted(room, target) {
for (const item of room.items) {
const { kind, body } = item.shown.record;
if (kind === 'banned' && body.target === target) this.changed('blank', { room, item });
}
}
#mentioned(room, { text }) {
return mentions(text, this.me.nick, room.nicks());
}
trim(room) {
if (room.items.length <= MOST || room.loading || room.oldest === null) return [];
return room.items.splice(0, room.items.length - KEPT);
}
#settle(room, { record, text }) {
const action = record.kind === 'action';
const is = (each) => (each.seq !== null ? each.seq === record.seq
: each.state !== 'failed' && each.action === action && each.plain === text
&& each.after.epoch === room.view.place.epoch && each.after.seq < record.seq);
const sure = room.pending.findIndex((each) => each.state !== 'unknown' && is(each));
const at = sure >= 0 ? sure : room.pending.findIndex(is);
if (at >= 0) { room.pending.splice(at, 1); this.keep(room); }
return at;
}
#landed(room) {
if (room.oldest === null) return;
const { epoch } = room.view.place;
const still = room.pending.filter(({ seq, after }) => seq === null || after.epoch !== epoch || seq > room.newest);
if (still.length === room.pending.length) return;
room.pending = still;
this.keep(room);
}
#blank(room, seq) {
const item = room.items.find(({ shown }) => shown.record.seq === seq);
if (!item) return;
item.shown = { record: { ...item.shown.record, kind: 'blank', body: {} }, text: null, unreadable: null };
this.changed('blank', { room, item });
}
redact(room, { member, session, txn, seq }) { return this.session.ask('redact', room.id, member, session, txn, seq); }
mayRedact(room, { member }) {
return member === this.me.member || (room.view.kind !== 'private' && room.view.role !== 'member');
}
#membership(room, { record }) {
const { member, nick, label, body } = record;
const person = { member, nick, label };
const add = () => {
room.here.set(member, person);
room.members.set(member, { ...person, role: 'member', here: true, muted: false, ...room.members.get(member) });
};
const remove = (who) => { room.here.delete(who); room.members.delete(who); };
const change = (who, what) => {
const known = room.members.get(who);
if (known) room.members.set(who, { ...known, ...what });
if (who === this.me.member && what.role) { room.view.role = what.role; this.changed('role', room); }
};
switch (record.kind) {
case 'created': case 'joined': add(); if (room.view.kind !== 'private') room.view.members += 1; break;
case 'left': remove(member); room.view.members -= 1; break;
case 'kicked': case 'banned': remove(body.target); room.view.members -= 1; break;
case 'role': change(body.target, { role: body.role }); break;
case 'muted': change(body.target, { muted: true }); break;
case 'unmuted': change(body.target, { muted: false }); break;
case 'password': if (member !== this.me.member) room.lacksKey = room.view.cipher === 'room_password'; break;
default: return;
}
this.changed('people', room);
}
#presence(id, update) {
const room = this.rooms.get(id);
if (!room) return;
const put = (person) => {
room.here.set(person.member, person);
const known = room.members.get(person.member);
if (known) room.members.set(person.member, { ...known, ...person, here: true });
};
if (update.kind === 'full') {
room.here.clear();
room.count = null;
update.body.people.forEach(put);
} else if (update.kind === 'changes') {
const { here, gone, renamed } = update.body;
here.forEach(put);
for (const person of gone) room.here.delete(person.member);
for (const { from, to } of renamed) {
put(to);
if (to.member === this.me.member) { this.me = to; this.changed('me'); }
if (room.view.peer?.member === to.member) { room.view.peer = to; this.changed('rooms'); }
this.changed('word', { room, key: 'event.renamed', gaps: { from, to: to.nick }, quiet: from === to.nick });
}
for (const person of gone) this.changed('word', { room, key: 'event.gone', gaps: { nick: person.nick } });
for (const person of here) this.changed('word', { room, key: 'event.back', gaps: { nick: person.nick } });
} else if (update.kind === 'count') {
room.count = update.body.count;
}
this.changed('people', room);
}
#removed(id, reason) {
const room = this.rooms.get(id);
if (!room || room.out !== null) return;
store.keepKeys(id, undefined);
const asked = room.leaving === true;
const back = room.id === LOBBY && !asked && reason !== 'banned' && reason !== 'closed' && this.lobby;
if (back || (!asked && (room.draft.trim() || room.pending.length))) {
room.out = back ? 'back' : reason;
room.generation += 1;
room.loading = false;
room.oldest ??= 0;
room.here.clear();
room.members.clear();
if (this.current === room && !back) this.changed('current');
this.changed('people', room);
} else {
this.forget(room);
if (asked && id === LOBBY) store.keepLeftLobby(this.session.url, true);
}
this.changed('rooms');
if (back) this.enterLobby().then(() => { if (room.out === 'back') { room.out = reason; this.#strand(room); this.changed('current'); } });
else if (!asked) this.changed('removed', { room, reason });
}
#strand(room) {
for (const item of room.pending) if (item.state === 'queued') Object.assign(item, { state: 'failed', why: 'not_in_room' });
this.keep(room);
}
forget(room) {
room.draft = '';
room.pending = [];
this.keep(room);
this.rooms.delete(room.id);
if (this.current === room) this.show(this.first());
this.changed('rooms');
}
first() {
const all = this.sorted();
return all.find(({ out }) => out === null) ?? all[0] ?? null;
}
sorted() {
const rank = ({ view }) => ['lobby', 'group', 'private'].indexOf(view.kind);
return [...this.rooms.values()].sort((a, b) => rank(a) - rank(b)
|| (a.view.number ?? 0) - (b.view.number ?? 0)
|| (a.view.peer?.nick ?? '').localeCompare(b.view.peer?.nick ?? ''));
}
show(room) {
this.current = room;
if (room) {
this.markRead(room);
store.keepCurrent(this.session.url, room.id);
}
this.changed('current');
}
markRead(room) {
room.readTo = Math.max(room.readTo, room.newest);
store.keepRead(room.id, room.view.place.epoch, room.readTo);
if (room.unread === 0) return;
room.unread = 0;
room.mentioned = false;
this.changed('rooms');
}
async load(room) {
if (room.out !== null || room.loading || !room.hasMore) return;
room.loading = true;
const { generation } = room;
const first = room.items[0]?.shown.record.seq;
try {
const { history } = await this.session.ask('history', room.id, room.oldest === null ? undefined : first, PAGE);
if (this.rooms.get(room.id) !== room || room.generation !== generation) return;
const initial = room.oldest === null;
room.oldest = history.oldest;
const known = new Set(room.items.map(({ shown }) => shown.record.seq));
const earlier = history.records.filter(({ record }) => !known.has(record.seq)).map((shown) => ({ shown }));
if (earlier.length === 0) room.oldest = room.items[0]?.shown.record.seq ?? 0;
room.items = [...earlier, ...room.items].sort((a, b) => a.shown.record.seq - b.shown.record.seq);
for (const { shown } of earlier) if (shown.record.member === this.me.member && isSaid(shown)) this.#settle(room, shown);
this.#landed(room);
this.#seam(room);
if (initial) this.#countUnread(room);
room.loading = false;
if (room.lacksKey && earlier.some(({ shown }) => shown.text !== null)) room.lacksKey = false;
this.changed('items', { room, earlier: initial ? null : earlier.length });
} catch (error) {
if (!(error instanceof CommandError)) throw error;
if (error.code === 'damaged' && room.generation === generation) {
room.oldest = room.items[0]?.shown.record.seq ?? 0;
this.changed('items', { room, earlier: null });
}
} finally {
if (room.generation === generation) room.loading = false;
}
}
#seam(room) {
const { missed } = room;
room.missed = null;
if (!missed || (missed.epoch === room.view.place.epoch && room.oldest <= missed.seq + 1)) return;
const last = room.items.findLast(({ shown }) => shown.record.seq <= missed.at);
if (last) last.seam = true;
}
#countUnread(room) {
if (room === this.current && this.watching()) return this.markRead(room);
const fresh = room.items.filter(({ shown }) => isSaid(shown) && shown.record.seq > room.readTo && shown.record.member !== this.me.member);
room.unread = fresh.length;
room.mentioned = fresh.some(({ shown }) => this.#mentioned(room, shown));
this.changed('rooms');
}
async loadMembers(room) {
try {
const { members } = await this.session.ask('members', room.id);
room.members = new Map(members.map((each) => [each.member, each]));
this.changed('people', room);
} catch (error) {
if (!(error instanceof CommandError)) throw error;
}
}
send(room, text, action = false) {
const item = { text, action, plain: harmless(text), time: Date.now(), state: 'pending', why: '', after: { ...room.view.place }, seq: null };
room.pending.push(item);
this.#deliver(room, item);
this.changed('pending', { room });
}
again(room, item) {
Object.assign(item, { state: 'pending', after: { ...room.view.place }, seq: null });
this.#deliver(room, item);
this.changed('pending', { room });
}
discard(room, item) {
room.pending = room.pending.filter((each) => each !== item);
this.keep(room);
this.changed('pending', { room });
}
async #deliver(room, item) {
item.state = this.status === 'up' ? 'pending' : 'queued';
item.asked = !this.session.over;
this.keep(room);
if (item.asked) await this.#follow(room, item, this.session.ask('send', room.id, item.action, item.text));
}
async #follow(room, item, end) {
try {
const { committed } = await end;
item.seq = committed;
item.after.epoch = room.view.place.epoch;
if (item.state !== 'unknown') item.state = 'sent';
this.#landed(room);
} catch (error) {
if (!(error instanceof CommandError)) throw error;
item.asked = false;
const unsent = error.code === 'ended' || (error.code === 'unknown' && item.state === 'queued');
if (unsent || (error.code === 'not_in_room' && room.out === 'back')) item.state = 'queued';
else if (error.code === 'unknown') item.state = 'unknown';
else return this.#refused(room, item, error.code);
}
this.keep(room);
this.changed('pending', { room });
}
#refused(room, item, why) {
Object.assign(item, { state: 'failed', why });
if (room.out === null && !room.draft.trim() && room.pending.includes(item)) {
room.pending = room.pending.filter((each) => each !== item);
room.draft = item.action ? `/me ${item.text}` : item.text.startsWith('/') ? `/${item.text}` : item.text;
this.changed('refused', { room, why });
}
this.keep(room);
this.changed('pending', { room });
}
async find(number) {
const { rooms } = await this.session.ask('find', number);
if (!rooms.length) throw new CommandError({ code: 'unknown_room', text: '', cipher: null, failure: null });
return rooms[0];
}
async unlocked(room) {
this.session.keepKeys(room.id);
room.lacksKey = false;
this.#begin(room);
await this.load(room);
this.changed('current');
}
}
