import { check_nick } from './chat_web_client.js';
import { Composer } from './composer.js';
import * as dialogs from './dialogs.js';
import { $, ROOM, h, icon, isLocal, known, soon, speak } from './dom.js';
import { linked } from './linked.js';
import { Log } from './log.js';
import { Model } from './model.js';
import { drawMe, drawMembers, drawRooms } from './panels.js';
import { LOBBY, isSaid } from './room.js';
import { CommandError, Session, later, load } from './session.js';
import { SLASHES, parse } from './slash.js';
import * as store from './store.js';
import { apply, has, t } from './texts.js';
import { composes } from './typing.js';
import { reasonText, roomName } from './words.js';
const endpoint = document.querySelector('meta[name=chat-endpoint]')?.content ?? 'ws';
const home = new URL(endpoint || 'ws', location.href.split('#')[0]).href.replace(/^http/, 'ws');
apply();
linked();
if (location.protocol === 'http:' && !isLocal) for (const line of document.querySelectorAll('.plain')) line.hidden = false;
dressTheme();
begin();
function dressTheme() {
const { theme } = store.settings();
if (theme === 'auto') delete document.documentElement.dataset.theme;
else document.documentElement.dataset.theme = theme;
}
async function begin() {
const form = $('start-form');
const { nick: lastNick, label: lastLabel } = store.name();
form.nick.value = lastNick;
form.label.value = lastLabel;
const asksAddress = endpoint === '';
$('address-field').hidden = !asksAddress;
if (known) {
$('nick-field').hidden = $('label-field').hidden = true;
form.querySelector('.lead').textContent = t('start.known');
}
form.address.value = store.settings().address || (asksAddress ? location.host : '');
let retry = null;
const led = store.inside() || (known && !store.outside());
let tries = 0;
let again = 0;
let module;
const ready = load().then((loaded) => { module = loaded; check(); }, () => { $('start-note').textContent = t('start.broken'); });
function check() {
if (!module) return;
const wrong = known ? null : check_nick(form.nick.value);
const address = asksAddress ? checkAddress(form.address.value) : null;
$('nick-note').textContent = wrong && form.nick.value ? t(`nick.${wrong}`) : '';
$('address-note').textContent = address && form.address.value ? t(address) : '';
form.nick.setAttribute('aria-invalid', String(!!wrong && !!form.nick.value));
$('continue').hidden = !!wrong || !!address;
}
form.nick.oninput = () => { $('start-note').textContent = ''; check(); };
form.address.oninput = check;
await ready;
if (!known) form.nick.focus();
form.onsubmit = (event) => {
event.preventDefault();
clearTimeout(again);
check();
if (!module) return;
if ($('continue').hidden) { if (!form.nick.value && !known) $('nick-note').textContent = t('nick.empty'); return; }
const [nick, label] = known ? ['', ''] : [form.nick.value.trim(), form.label.value.trim()];
$('start-note').textContent = '';
busy(true);
if (retry) return retry(nick, label);
if (asksAddress) store.keepSettings({ address: form.address.value.trim() });
const url = asksAddress ? addressUrl(form.address.value) : home;
const trouble = (text) => { busy(false); $('start-note').textContent = text; };
enter(url, module, { nick, label, secret: store.secret(url, home), link: expected(url) }, {
welcomed() { busy(false); },
refused(failure, again) {
retry = again;
trouble(refusalText(failure));
if (known) $('continue').hidden = !failure.temporary;
form.nick.focus();
form.nick.select();
},
ended({ why, reason }) {
retry = null;
if (led && heals(why, reason)) again = setTimeout(() => form.requestSubmit(), later(tries++));
trouble(why === 'cannot_connect' ? t(known ? 'start.refused' : 'start.unreachable') : t('notice.ended', { why: closedText(reason) }));
},
});
};
if (led && module && !$('continue').hidden) form.requestSubmit();
function busy(is) {
$('continue').disabled = is;
$('continue').textContent = t(is ? 'start.connecting' : 'start.continue');
}
}
function expected(url) {
const link = url === home ? linked() : '';
return /\bk=/.test(link) ? link : `${link}&${store.pin(url)}`;
}
function checkAddress(text) {
const bare = text.trim().replace(/^wss?:\/\//, '');
if (!bare) return 'start.address.empty';
const parts = /^(\[[0-9a-fA-F:.]+\]|[^\s:/?#@[\]]+)(?::(\d+))?(\/\S*)?$/.exec(bare);
if (!parts) return 'start.address.malformed';
if (parts[2] !== undefined && (Number(parts[2]) < 1 || Number(parts[2]) > 65535)) return 'start.address.port';
return URL.canParse(addressUrl(text)) ? null : 'start.address.malformed';
}
function addressUrl(text) {
const trimmed = text.trim();
const whole = /^wss?:\/\//.test(trimmed) ? trimmed : `${location.protocol === 'https:' ? 'wss' : 'ws'}://${trimmed}`;
const rest = whole.replace(/^wss?:\/\//, '');
return rest.includes('/') ? whole : `${whole}/ws`;
}
const closedText = (reason) => (has(`closed.${reason}`) ? t(`closed.${reason}`) : t('closed.other'));
const mayHeal = (reason) => ['stopped', 'full', 'too_many_connections', 'handshake_timeout'].includes(reason);
const heals = (why, reason) => why === 'cannot_connect' || mayHeal(reason);
const refusalText = ({ code }) => t(known && has(`start.known.${code}`) ? `start.known.${code}` : `error.${code}`);
function enter(url, module, who, start) {
let chat = null;
const session = new Session(url, module, who, (event) => {
if (chat) return chat.take(event);
if (event.event === 'welcomed') {
store.enter();
store.keepPin(url, session.server);
if (!known) store.keepName(event.welcome.nick, event.welcome.label);
start.welcomed();
$('start').hidden = true;
$('chat').hidden = false;
chat = new Chat(session, () => { session.forget(); enter(url, module, known ? who : { ...who, ...store.name() }, again(chat)); });
chat.take(event);
} else if (event.event === 'hello_refused') {
start.refused(event.failure, (nick, label) => session.rename(nick, label), session);
} else if (event.event === 'ended') {
session.forget();
start.ended(event);
}
});
session.start();
}
function again(before) {
before.notice(t('start.connecting'));
return {
welcomed() { before.gone(); },
refused(failure, retry, session) { before.nameless(failure, retry, session); },
ended({ why, reason }) {
before.apart(why === 'cannot_connect' ? t('start.unreachable') : t('notice.ended', { why: closedText(reason) }), heals(why, reason));
},
};
}
const LONGEST_MUTE = 2 ** 32 - 1;
class Chat {
#abort = new AbortController();
#leaving = false;
#closed = null;
#naming = null;
#again = 0;
#tries = 0;
#wanted;
#rooms = soon(() => this.rooms());
#people = soon(() => drawMembers(this.model, (person) => this.openPerson(person)));
constructor(session, reconnect) {
this.session = session;
this.reconnect = reconnect;
const { signal } = this.#abort;
this.model = new Model(session, (what, detail) => this.changed(what, detail));
this.log = new Log(this.model, {
person: (person) => this.openPerson(person),
redact: (record) => dialogs.redact(this.model, this.model.current, record),
unban: ({ body }) => session.ask('sanction', this.model.current.id, 'unban', undefined, body.target, '', undefined).catch(dialogs.tell),
}, signal);
const tooLong = () => this.log.word(this.model.current, t('composer.too-long', { n: this.model.longest }));
this.composer = new Composer(this.model, (line) => this.may(line, tooLong), (line) => this.line(line), { turn: (pages) => this.log.turn(pages), tooLong });
this.#wanted = store.current(session.url);
const on = (target, what, act) => target.addEventListener(what, act, { signal });
on($('chat'), 'click', (event) => {
const what = event.target.closest('[data-do]')?.dataset.do;
if (what) this.act(what);
});
signal.addEventListener('abort', () => clearTimeout(this.#again));
on($('me'), 'click', () => this.act('profile'));
on(document, 'visibilitychange', () => {
if (!document.hidden && this.model.current) this.model.markRead(this.model.current);
this.title();
});
on(document, 'keydown', (event) => this.key(event));
on(window, 'hashchange', () => this.followLink());
on(window, 'popstate', () => { if (!history.state?.panel) this.#panel(null); });
on(window, 'beforeunload', (event) => { if (!this.#leaving && this.model.busy) event.preventDefault(); });
$('me').disabled = known;
this.notice('');
drawRooms(this.model, () => {});
this.current();
}
gone() { this.#named(); this.#abort.abort(); }
take(event) { this.model.take(event); }
changed(what, detail) {
const { model } = this;
switch (what) {
case 'me': drawMe(model); this.#people(); break;
case 'rooms': this.#rooms(); break;
case 'current': this.current(); break;
case 'up':
this.#closed = null;
if (this.#naming) store.keepName(model.me.nick, model.me.label);
this.#named();
if (detail) { this.notice(t('notice.back'), 'good'); setTimeout(() => this.#unnotice('good'), 3_000); }
if (!detail && !this.followLink() && !model.lobby && !this.#wanted) queueMicrotask(() => this.act('join'));
break;
case 'status': this.#status(detail); break;
case 'closing':
this.#closed = detail.reason === 'restarting' || !detail.reconnect ? null : detail.reason;
this.notice(detail.reconnect ? t(detail.reason === 'restarting' ? 'notice.restarting' : 'notice.lost') : t('notice.closing', { why: closedText(detail.reason) }), 'bad');
break;
case 'offline': if (model.status === 'up') this.notice(t('notice.offline'), 'bad offline'); break;
case 'heard': this.#unnotice('offline'); break;
case 'nameless': this.nameless(detail, (nick, label) => this.session.rename(nick, label), this.session); break;
case 'ended':
if (detail.why === 'asked' && !known) { this.#leaving = true; return location.reload(); }
this.#naming?.reject(new CommandError({ code: 'ended', text: '', cipher: null, failure: null }));
this.#naming = null;
this.apart(t('notice.ended', { why: closedText(detail.why === 'asked' ? 'bye' : detail.reason) }), mayHeal(detail.reason));
break;
case 'refused':
if (detail.room === model.current) this.composer.restore(detail.room.draft);
this.log.word(detail.room, t('message.failed', { why: reasonText(detail.why) }));
break;
case 'entered':
if (detail.room.id === this.#wanted) { this.#wanted = undefined; model.show(detail.room); }
else if (!model.current) model.show(detail.room);
else if (detail.room === model.current) this.current();
break;
case 'item':
this.log.append(detail.room, detail.item, detail.replaces);
if (detail.room === model.current && (!isSaid(detail.item.shown) || detail.item.shown.unreadable)) this.header();
break;
case 'items':
if (detail.room !== model.current) break;
if (detail.earlier === null) this.log.rebuild();
else this.log.earlier(detail.room, detail.earlier);
this.header();
break;
case 'blank': this.log.changed(detail.room, detail.item); break;
case 'role': if (detail === model.current) this.log.rebuild(); break;
case 'pending': this.log.pending(detail.room); break;
case 'people':
if (detail === model.current) this.#people();
if (detail.view.kind === 'private') this.#rooms();
break;
case 'word': if (!detail.quiet) this.log.word(detail.room, t(detail.key, detail.gaps), Date.now()); break;
case 'said': this.said(detail); break;
case 'named': this.named(detail.nick, detail.label); break;
case 'silent': this.notice(t('notice.silent', { room: roomName(detail.room.view) }), 'warn'); break;
case 'removed': this.notice(t({ banned: 'notice.banned', closed: 'notice.closed' }[detail.reason] ?? 'notice.removed', { room: roomName(detail.room.view) }), 'warn'); break;
case 'locked-out': this.lockedOut(detail); break;
}
}
#status(wait) {
const why = mayHeal(this.#closed) ? t('notice.away', { why: closedText(this.#closed) })
: !navigator.onLine ? t('notice.offline')
: wait > 1_500 ? t('notice.lost-in', { n: Math.round(wait / 1_000) }) : t('notice.lost');
this.notice(why, 'bad', wait > 1_500 ? { text: t('notice.now'), act: () => this.session.probe() } : undefined);
}
nameless(failure, retry, session) {
if (this.#naming) {
this.#naming.reject(new CommandError({ code: failure.code, text: refusalText(failure), cipher: null, failure: null }));
this.#naming = null;
return;
}
if (known) {
this.notice(t('notice.ended', { why: refusalText(failure) }), 'bad');
this.#again = setTimeout(() => retry('', ''), later(this.#tries++));
return;
}
const { nick, label } = this.model.me;
const why = failure.code === 'nick_taken' ? t('taken.note', { nick }) : refusalText(failure);
const ask = () => dialogs.otherName(why, { nick, label }, (chosen, note) => {
this.#naming = Promise.withResolvers();
retry(chosen, note);
return this.#naming.promise;
});
this.notice(why, 'bad', { text: t('taken.choose'), act: ask });
if (!document.querySelector('dialog')) ask();
}
#named() {
clearTimeout(this.#again);
this.#tries = 0;
this.#naming?.resolve();
this.#naming = null;
document.querySelector('dialog[data-name=other-name]')?.close();
}
apart(text, heals) {
if (heals) this.#again = setTimeout(() => this.reconnect(), later(this.#tries++));
this.notice(heals ? `${text} ${t('notice.tries')}` : text, 'bad', {
text: t(heals ? 'notice.now' : 'notice.again'),
act: () => { clearTimeout(this.#again); this.reconnect(); },
});
}
rooms() {
drawRooms(this.model, (room) => this.show(room.id));
this.title();
}
show(id) {
const room = this.model.rooms.get(id);
if (!room) return;
this.#wanted = undefined;
this.#panel(null);
if (room !== this.model.current) this.model.show(room);
if (matchMedia('(hover: hover)').matches) this.composer.focus();
}
#shown = null;
current() {
const room = this.model.current;
const before = this.#shown;
this.#shown = room;
this.header();
this.rooms();
this.log.show(room);
this.composer.show(before, room);
drawMembers(this.model, (person) => this.openPerson(person));
if (matchMedia('(hover: hover)').matches && !document.querySelector('dialog')) this.composer.focus();
}
header() {
const room = this.model.current;
$('room-name').textContent = room ? roomName(room.view) : '';
$('room-topic').textContent = room?.view.topic || (room?.view.kind === 'private' ? t('room.private-note') : '');
const out = !!room && room.out !== null && room.out !== 'back';
$('share-open').hidden = !room || room.view.kind === 'private';
$('leave-open').hidden = !room || out;
document.querySelector('[data-do=show-members]').hidden = !room;
const seal = $('seal');
seal.hidden = !room?.sealed && !room?.insecure;
seal.className = `seal ${room?.insecure ? 'insecure' : 'sealed'}`;
const key = room?.insecure ? 'seal.insecure' : room?.view.cipher === 'static_key' ? 'seal.key' : 'seal.encrypted';
seal.replaceChildren(icon(room?.insecure ? 'warn' : 'lock'), h('span', null, t(key)));
seal.title = room?.insecure ? t('seal.insecure.long') : t('seal.encrypted.long');
const locked = room && !out && (room.sealed || room.insecure) && room.locked;
const changes = room && !out && !locked && (room.insecure || (room.view.cipher === 'static_key' && room.items.some(({ shown }) => shown.unreadable)));
const warning = $('warning');
warning.hidden = !out && !room?.insecure && !locked && !changes;
warning.className = `warning ${out ? 'locked' : room?.insecure ? 'insecure' : 'locked'}`;
const button = (text, act) => h('button.small', { type: 'button', onclick: act }, t(text));
warning.replaceChildren(...(out
? [icon('warn'), h('span', null, t('room.out')),
room.view.kind !== 'private' && room.out !== 'banned' && button('room.out.join', () => this.enterAgain(room)), button('room.out.close', () => this.model.forget(room))]
: [icon(room?.insecure ? 'warn' : 'lock'),
h('span', null, room?.insecure ? t('seal.insecure.long') : t(room?.view.cipher === 'static_key' ? 'seal.locked.key' : 'seal.locked')),
locked && button('seal.unlock', () => this.unlock(room)),
changes && button(room.insecure ? 'seal.shift' : 'seal.rekey', () => this.unlock(room, true))]).filter(Boolean));
this.composer.draw(room);
this.title();
}
unlock(room, rekey = false) {
const { number, cipher, credential } = room.view;
dialogs.unlock(this.model, (id) => this.show(id), { number, name: roomName(room.view), cipher, protected: !rekey && credential !== null }, { rekey });
}
enterAgain(room) {
const enter = (id) => this.show(id);
if (room.id === LOBBY) return this.enterLobby();
return dialogs.join(this.model, enter, room.view.number);
}
async enterLobby() {
if (!this.model.isIn(LOBBY)) await this.model.enterLobby();
this.show(LOBBY);
}
lockedOut(error) {
if (error instanceof CommandError && (error.code === 'key_missing' || error.code === 'cipher_mismatch')) {
return dialogs.unlock(this.model, (id) => this.show(id), { number: null, name: t('rooms.lobby'), cipher: error.cipher, protected: false });
}
dialogs.tell(error);
}
notice(text, kind = '', button = undefined) {
const notice = $('notice');
notice.hidden = !text;
notice.className = `notice ${kind}`;
notice.replaceChildren(h('span', null, text),
...(button ? [h('button.small', { type: 'button', onclick: button.act }, button.text)]
: kind === 'warn' ? [h('button.icon', { type: 'button', title: t('close'), 'aria-label': t('close'), onclick: () => this.notice('') }, icon('close'))] : []));
}
#unnotice(kind) { if ($('notice').classList.contains(kind)) this.notice(''); }
said({ room, shown, mention, seen }) {
if (seen || !document.hidden || !store.settings().notify) return;
if (!('Notification' in globalThis) || Notification.permission !== 'granted') return;
if (!mention && room.view.kind !== 'private' && room !== this.model.current) return;
const title = room.view.kind === 'private' ? shown.record.nick : t('notify.said', { nick: shown.record.nick, room: roomName(room.view) });
const what = { body: shown.text?.slice(0, 200) ?? '', tag: room.id };
try {
const notification = new Notification(title, what);
notification.onclick = () => { window.focus(); this.show(room.id); notification.close(); };
} catch {
navigator.serviceWorker?.getRegistration().then((worker) => worker?.showNotification(title, what)).catch(() => {});
}
}
title() {
const unread = [...this.model.rooms.values()].reduce((sum, room) => sum + room.unread, 0);
const name = this.model.current ? `${roomName(this.model.current.view)} – ${t('app.title')}` : t('app.title');
document.title = unread ? t('notify.title', { n: unread, title: name }) : name;
}
act(what) {
const room = this.model.current;
const enter = (id) => this.show(id);
switch (what) {
case 'create': return dialogs.create(this.model, enter);
case 'join': return dialogs.join(this.model, enter, null, () => this.enterLobby());
case 'share': return room && dialogs.share(room);
case 'leave': return room && dialogs.leave(room, () => this.leave(room));
case 'profile': return dialogs.profile(this.model, (nick, label) => this.named(nick, label));
case 'settings': return dialogs.settings(store.settings(), (changed) => { store.keepSettings(changed); dressTheme(); }, () => this.quit());
case 'show-rooms': return this.#panel('rooms');
case 'show-members': return this.#panel('members');
case 'hide-panels': return this.#panel(null);
}
}
#panel(which) {
const { dataset } = $('chat');
const before = dataset.panel;
if (!which || before === which) {
delete dataset.panel;
if (before && history.state?.panel) history.back();
return;
}
dataset.panel = which;
$(which).querySelector('button')?.focus();
if (!before && matchMedia('(max-width: 65em)').matches) store.step({ panel: true });
}
async leave(room) {
room.leaving = true;
await this.session.ask('leave', room.id);
}
quit() {
this.#leaving = true;
store.leave(known);
if (this.session.over) location.reload();
else this.session.close();
}
named(nick, label) {
this.model.me = { ...this.model.me, nick, label };
store.keepName(nick, label);
this.changed('me');
}
openPerson(person) {
dialogs.person(this.model, person, {
private: (who) => this.direct(undefined, who.member).catch(dialogs.tell),
mention: (nick) => this.composer.insert(`${nick} `),
});
}
async direct(nick, member = undefined, text = '') {
const { room } = await this.session.ask('direct', nick, member);
this.show(room.room);
const opened = this.model.rooms.get(room.room);
if (text && opened) this.model.send(opened, text);
}
followLink() {
const [, lobby, number] = ROOM.exec(location.hash) ?? [];
if (!lobby && number === undefined) return false;
history.replaceState(history.state, '', location.pathname + location.search);
this.#wanted = undefined;
if (lobby) this.enterLobby();
else dialogs.join(this.model, (id) => this.show(id), Number(number));
return true;
}
key(event) {
if (composes(event)) return;
if (event.key === 'Escape' && $('chat').dataset.panel) return this.#panel(null);
if (!event.altKey || !['ArrowUp', 'ArrowDown'].includes(event.key) || document.querySelector('dialog')) return;
event.preventDefault();
const rooms = this.model.sorted();
const at = rooms.indexOf(this.model.current);
const next = rooms[(at + (event.key === 'ArrowDown' ? 1 : -1) + rooms.length) % rooms.length];
if (next) { this.show(next.id); speak(roomName(next.view)); }
}
may(line, tooLong) {
const read = parse(line);
const { current } = this.model;
if (!current && ('say' in read || ('command' in read && read.command.room))) {
this.log.word(null, t('error.not_in_room'));
return false;
}
if ('say' in read && new TextEncoder().encode(read.say).length > this.model.longest) { tooLong(); return false; }
return true;
}
async line(line) {
const room = this.model.current;
const read = parse(line);
if ('say' in read) { this.log.stuck = true; return this.model.send(room, read.say); }
const not = (why) => this.back(room, line, why);
if ('unknown' in read) return not(t('help.no-command', { name: read.unknown }));
const { command, rest, word, after } = read;
const usage = () => not(t('help.usage', { usage: command.usage }));
const sanction = (what, reason = '', seconds = undefined) => this.session.ask('sanction', room.id, what, word, undefined, reason, seconds);
try {
switch (command.name) {
case 'me': return rest ? this.model.send(room, rest, true) : usage();
case 'msg': return after ? await this.direct(word, undefined, after) : usage();
case 'nick': {
if (!word) return usage();
const { named } = await this.session.ask('nick', word, after || this.model.me.label);
return this.named(named.nick, named.label);
}
case 'online': return this.#panel('members');
case 'rooms': return this.act('join');
case 'create': return dialogs.create(this.model, (id) => this.show(id), rest);
case 'join':
if (rest === 'lobby') return await this.enterLobby();
if (!rest) return this.act('join');
return /^\d{1,9}$/.test(rest) ? await dialogs.enterByNumber(this.model, (id) => this.show(id), Number(rest)) : usage();
case 'switch': {
if (!rest) return usage();
const found = this.model.sorted().find(({ view }) => (rest === 'lobby' ? view.kind === 'lobby' : /^\d+$/.test(rest) ? view.number === Number(rest) : view.peer?.nick === rest));
return found ? this.show(found.id) : /^\d+$/.test(rest) ? not(t('error.not_in_room')) : await this.direct(rest);
}
case 'leave': return await this.leave(room);
case 'topic': return rest ? await this.session.ask('topic', room.id, rest) : this.log.word(room, room.view.topic || '–');
case 'password': return dialogs.password(this.model, room);
case 'kick': case 'ban': return word ? await sanction(command.name, after) : usage();
case 'unban': case 'unmute': return word && !after ? await sanction(command.name) : usage();
case 'mute': return word && /^\d*$/.test(after) && Number(after) <= LONGEST_MUTE ? await sanction('mute', '', after ? Number(after) : undefined) : usage();
case 'role': return ['member', 'moderator', 'owner'].includes(after) ? await sanction(after) : usage();
case 'redact': {
const theirs = ({ shown: { record } }) => (word ? record.nick === word : record.member === this.model.me.member);
const last = room.items.findLast((item) => isSaid(item.shown) && theirs(item));
return last ? await this.model.redact(room, last.shown.record) : not(t('redact.nothing'));
}
case 'block': case 'unblock': {
if (!word) return usage();
const { room: opened } = await this.session.ask('direct', word, undefined);
return await this.session.ask('block', opened.room, command.name === 'block');
}
case 'help': return this.help();
case 'quit': return this.quit();
}
} catch (error) {
not(dialogs.words(error));
}
}
back(room, line, why) {
const taken = room === this.model.current ? this.composer.restore(line) : !!room && !room.draft.trim();
if (taken && room && room !== this.model.current) { room.draft = line; this.model.keep(room); }
this.log.word(room, taken ? why : `${line} — ${why}`);
}
help() {
this.log.card(this.model.current, h('div.help', null, h('h2', null, t('help.title')), h('dl', null,
...SLASHES.flatMap(({ name, usage }) => [h('dt', null, h('code', { dir: 'ltr' }, usage)), h('dd', null, t(`help.${name}`))])), h('p.note', null, t('help.keys'))));
}
}
