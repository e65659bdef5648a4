import { check_key, check_nick, qr_code } from './chat_web_client.js';
import { $, avatar, h, icon, isLocal } from './dom.js';
import { LOBBY } from './room.js';
import { CommandError } from './session.js';
import { has, t } from './texts.js';
import { roomName } from './words.js';
export function words(error) {
if (!(error instanceof CommandError)) throw error;
return has(`error.${error.code}`) ? t(`error.${error.code}`) : error.message;
}
export function open(title, content, { label, doing, submit, danger, name }) {
document.querySelector('dialog')?.remove();
const note = h('p.note.bad', { role: 'alert' });
const go = label && h(`button.primary${danger ? '.danger' : ''}`, null, label);
const form = h('form', { noValidate: true, autocomplete: 'off' },
h('header', null, h('h2', { id: 'dialog-title' }, title),
h('button.icon', { type: 'button', title: t('close'), 'aria-label': t('close'), onclick: () => dialog.close() }, icon('close'))),
h('div.content', null, ...content, note),
go && h('footer', null, h('button', { type: 'button', onclick: () => dialog.close() }, t('cancel')), go));
const dialog = h('dialog', { 'aria-labelledby': 'dialog-title', 'data-name': name }, form);
form.onsubmit = async (event) => {
event.preventDefault();
if (!go || go.disabled) return;
go.disabled = true;
if (doing) go.textContent = doing;
note.textContent = '';
try {
await submit?.();
dialog.close();
} catch (error) {
note.textContent = error instanceof Wrong ? error.message : words(error);
dialog.querySelector('input[type=password]')?.select();
} finally {
go.disabled = false;
go.textContent = label;
}
};
dialog.onclick = (event) => { if (event.target === dialog) dialog.close(); };
dialog.onclose = () => {
dialog.remove();
const back = document.activeElement;
if (back instanceof HTMLTextAreaElement) { back.blur(); back.focus(); }
};
$('dialogs').append(dialog);
dialog.showModal();
return dialog;
}
class Wrong extends Error {}
const field = (label, input, note) => h('label.field', null, h('span', null, label), input, note && h('span.note', null, note));
const secret = (autocomplete = 'off') => h('input', { type: 'password', autocomplete, dir: 'auto' });
export function create(model, enter, named = '') {
const name = h('input', { dir: 'auto', maxLength: 64, value: named, autofocus: true, name: 'name' });
const topic = h('input', { dir: 'auto', maxLength: 512, name: 'topic' });
const password = secret('new-password');
const shift = h('input', { type: 'number', value: '3', step: 1 });
const more = h('div', null);
const kinds = ['open', 'password', 'caesar'].map((kind) => h('label.choice', null,
h('input', { type: 'radio', name: 'kind', value: kind, checked: kind === 'open', onchange: draw }),
h(`span.sign.${kind}`, null, icon({ open: 'people', password: 'lock', caesar: 'warn' }[kind])),
h('span', null, h('b', null, t(`create.${kind}-kind`)), h('span.note', null, t(`create.${kind}-kind.note`)))));
const chosen = () => kinds.map((kind) => kind.querySelector('input')).find(({ checked }) => checked).value;
function draw() {
more.replaceChildren(...{ open: [], password: [field(t('create.password'), password)], caesar: [field(t('create.shift'), shift)] }[chosen()]);
}
open(t('create.title'), [
field(`${t('create.name')} ${t('start.optional')}`, name),
field(`${t('create.topic')} ${t('start.optional')}`, topic),
h('fieldset', null, h('legend', null, t('create.kind')), ...kinds), more,
], {
name: 'create', label: t('create.do'), doing: t('create.doing'),
async submit() {
const kind = chosen();
if (kind === 'password' && !password.value) throw new Wrong(t('create.password.needed'));
if (kind === 'caesar' && !/^-?\d{1,9}$/.test(shift.value)) throw new Wrong(t('create.shift.needed'));
const cipher = { open: 'none', password: 'room_password', caesar: 'caesar' }[kind];
const { room } = await model.session.ask('create', name.value.trim() || undefined, topic.value.trim(),
kind === 'password' ? password.value : undefined, cipher, kind === 'caesar' ? shift.value : undefined);
enter(room.room);
},
});
}
const isClosed = (info) => info.protected || info.cipher === 'caesar' || info.cipher === 'static_key';
const asTarget = ({ number, name, cipher, protected: closed }) => ({ number, name: name ?? t('room.group', { number }), cipher, protected: closed });
export async function join(model, enter, number = null, enterLobby = undefined) {
if (number !== null) return enterByNumber(model, enter, number).catch(tell);
const input = h('input', { type: 'number', min: 0, step: 1, inputMode: 'numeric', name: 'number', autofocus: true });
const password = secret('current-password');
const groups = h('ul.groups', null, h('li.quiet', null, '…'));
const lobby = () => (model.lobby ? [h('li', null, h('button.entry', {
type: 'button', disabled: model.isIn(LOBBY), onclick: () => { dialog.close(); enterLobby(); },
}, h('span.sign', null, icon('home')), h('span.who', null, h('span.title', null, t('rooms.lobby'))), model.isIn(LOBBY) && h('span.role', null, t('join.in'))))] : []);
model.session.ask('list').then(({ rooms }) => {
groups.replaceChildren(...lobby(), ...(rooms.length ? rooms.map((info) => h('li', null, h('button.entry', {
type: 'button', disabled: model.isIn(info.room),
onclick: () => { dialog.close(); into(model, enter, info).catch(tell); },
},
h('span.sign', null, icon('hash')),
h('span.who', null,
h('span.title', null, h('bdi', null, info.name ?? t('room.group', { number: info.number }))),
h('bdi.label', null, info.topic)),
h('span.number', null, `#${info.number}`),
info.cipher === 'caesar' ? h('span.mini.insecure', { title: t('seal.insecure') }, icon('warn'))
: info.protected && h('span.mini.sealed', { title: t('join.protected') }, icon('lock')),
h('span.role', null, model.isIn(info.room) ? t('join.in') : t('join.members', { n: info.members })))))
: [h('li.quiet', null, t('rooms.none'))]));
}).catch((error) => groups.replaceChildren(...lobby(), h('li.quiet', null, words(error))));
const dialog = open(t('join.title'), [
groups,
h('div.row', null, field(t('join.number'), input), field(`${t('join.password')} ${t('start.optional')}`, password)),
], {
name: 'join', label: t('join.do'), doing: t('join.doing'),
async submit() {
if (!/^\d{1,9}$/.test(input.value)) throw new Wrong(t('join.number.needed'));
const info = await model.find(Number(input.value));
const needs = asTarget(info);
if (isClosed({ ...needs, protected: needs.protected && !password.value })) return unlock(model, enter, needs, { password: password.value });
await asked(model, (room) => enter(room.room), needs.number, password.value || undefined, undefined);
},
});
}
export async function enterByNumber(model, show, number) {
const known = [...model.rooms.values()].find(({ view, out }) => view.number === number && out === null);
if (known && !known.lacksKey) return show(known.id);
return into(model, show, await model.find(number));
}
async function asked(model, entered, number, password, key) {
try {
await entered((await model.session.ask('join', number, password, key)).room);
} catch (error) {
if (!(error instanceof CommandError) || error.code !== 'not_sealed') throw error;
open(t('join.unsealed'), [h('p', null, t('join.unsealed.note'))], {
name: 'unsealed', label: t('join.do'), doing: t('join.doing'), danger: true,
async submit() { await entered((await model.session.ask('join', number, password, key, true)).room); },
});
}
}
async function into(model, enter, info) {
if (isClosed(info)) return unlock(model, enter, asTarget(info));
const { room } = await model.session.ask('join', info.number, undefined, undefined);
enter(room.room);
}
export function unlock(model, enter, target, { rekey = false, password: typed = '' } = {}) {
const { number, name, cipher } = target;
const kind = { caesar: 'shift', static_key: 'key' }[cipher];
const password = (target.protected || !kind) && secret('current-password');
const key = kind && (kind === 'shift' ? h('input', { type: 'number', step: 1, name: 'shift' }) : secret());
if (password) password.value = typed;
(password && !typed ? password : key || password).autofocus = true;
open(t(rekey ? `join.rekey.${kind}` : 'join.unlock', { room: name }), [
password && field(t('join.password'), password),
key && field(t(`join.${kind}`), key, kind === 'key' ? t('join.key.note') : undefined),
], {
name: 'unlock', label: t(rekey ? 'profile.do' : 'join.do'), doing: t('join.doing'),
async submit() {
if (kind === 'shift' && !/^-?\d{1,9}$/.test(key.value)) throw new Wrong(t('create.shift.needed'));
if (kind === 'key' && !check_key(key.value)) throw new Wrong(t('join.key.note'));
if (password && !password.value) throw new Wrong(t('join.password.needed'));
const given = [password ? password.value : undefined, key ? key.value : undefined];
if (number === null) model.lobbyKey = { password: given[0], key: given[1] };
await asked(model, async (room) => {
const known = model.rooms.get(room.room);
if (known) await model.unlocked(known);
enter(room.room);
}, number ?? undefined, given[0], given[1]);
},
});
}
export function tell(error) {
open(t('app.title'), [h('p', null, words(error))], { name: 'trouble' });
}
export function share(room) {
const link = new URL(`#/${room.view.kind === 'lobby' ? 'lobby' : `room/${room.view.number}`}`, location.href.split('#')[0]).href;
const input = h('input', { readOnly: true, value: link, dir: 'ltr', onfocus: () => input.select() });
const copied = h('button', { type: 'button', onclick: copy }, t('share.copy'));
async function copy() {
input.select();
try { await navigator.clipboard.writeText(link); } catch { document.execCommand('copy'); }
copied.textContent = t('share.copied');
}
open(t('share.title'), [
h('p', null, t(isLocal ? 'share.local' : 'share.lead', { room: roomName(room.view) })),
room.view.credential && h('p.note', null, icon('lock'), t('share.password')),
drawCode(link),
h('div.row', null, field(t('share.link'), input), copied),
], { name: 'share' });
}
function drawCode(text) {
const modules = qr_code(text);
const size = Math.sqrt(modules.length);
const quiet = 4;
const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
svg.setAttribute('viewBox', `0 0 ${size + 2 * quiet} ${size + 2 * quiet}`);
svg.setAttribute('class', 'code');
svg.setAttribute('role', 'img');
svg.setAttribute('aria-label', t('share.qr'));
svg.setAttribute('shape-rendering', 'crispEdges');
const path = document.createElementNS('http://www.w3.org/2000/svg', 'path');
let d = '';
modules.forEach((dark, at) => { if (dark) d += `M${(at % size) + quiet} ${Math.floor(at / size) + quiet}h1v1h-1z`; });
path.setAttribute('d', d);
svg.append(path);
return svg;
}
export function leave(room, leave) {
open(t('leave.title', { room: roomName(room.view) }), [], { name: 'leave', label: t('leave.do'), danger: true, submit: leave });
}
export function redact(model, room, record) {
open(t('message.redact'), [h('p', null, t('redact.note'))], {
name: 'redact', label: t('redact.do'), danger: true,
async submit() { await model.redact(room, record); },
});
}
export function profile(model, done) {
const nick = h('input', { value: model.me.nick, dir: 'auto', maxLength: 64, autofocus: true, name: 'nick' });
const label = h('input', { value: model.me.label, dir: 'auto', maxLength: 64, name: 'label' });
open(t('profile.title'), [field(t('start.nick'), nick), field(`${t('start.label')} ${t('start.optional')}`, label)], {
name: 'profile', label: t('profile.do'),
async submit() {
const wrong = check_nick(nick.value);
if (wrong) throw new Wrong(t(`nick.${wrong}`));
const { named } = await model.session.ask('nick', nick.value.trim(), label.value.trim());
done(named.nick, named.label);
},
});
}
export function otherName(why, before, choose) {
const nick = h('input', { value: before.nick, dir: 'auto', maxLength: 64, autofocus: true, name: 'nick', onfocus: () => nick.select() });
const label = h('input', { value: before.label, dir: 'auto', maxLength: 64, name: 'label' });
open(t('taken.choose'), [h('p', null, why), field(t('start.nick'), nick), field(`${t('start.label')} ${t('start.optional')}`, label)], {
name: 'other-name', label: t('start.continue'), doing: t('start.connecting'),
async submit() {
const wrong = check_nick(nick.value);
if (wrong) throw new Wrong(t(`nick.${wrong}`));
await choose(nick.value.trim(), label.value.trim());
},
});
}
function ban(model, room, who) {
const reason = h('input', { dir: 'auto', maxLength: 256, name: 'reason', autofocus: true });
open(t('ban.title', { nick: who.nick }), [h('p', null, t('ban.note', { nick: who.nick })), field(`${t('ban.reason')} ${t('start.optional')}`, reason)], {
name: 'ban', label: t('person.ban'), danger: true,
async submit() { await model.session.ask('sanction', room.id, 'ban', undefined, who.member, reason.value.trim(), undefined); },
});
}
export function password(model, room) {
const input = secret('new-password');
input.autofocus = true;
open(t('password.title', { room: roomName(room.view) }), [field(t('password.new'), input)], {
name: 'password', label: t('password.do'), doing: t('create.doing'),
async submit() {
if (!input.value) throw new Wrong(t('create.password.needed'));
await model.session.ask('password', room.id, input.value);
model.session.keepKeys(room.id);
},
});
}
export function person(model, who, act) {
const room = model.current;
if (!room || who.member === model.me.member) return;
const known = room.members.get(who.member);
const then = who.nick;
who = { ...who, ...room.here.get(who.member) ?? known };
const does = (what, label, danger = false) => h(`button${danger ? '.danger' : ''}`, {
type: 'button',
onclick: async () => {
dialog.close();
try { await model.session.ask('sanction', room.id, what, undefined, who.member, '', undefined); } catch (error) { tell(error); }
},
}, t(`person.${label}`));
const rank = (role) => ['member', 'moderator', 'owner'].indexOf(role ?? 'member');
const above = room.view.kind === 'group' && known && rank(room.view.role) > rank(known.role);
const owner = above && room.view.role === 'owner';
const dialog = open(who.nick, [
h('div.card-person', null, avatar(who), h('span.who', null, h('bdi.title', null, who.nick), h('bdi.label', null, who.label),
then !== who.nick && h('span.note', null, t('person.then', { nick: then }))),
known && known.role !== 'member' && h('span.role', null, t(`role.${known.role}`))),
h('div.actions', null,
room.view.kind !== 'private' && h('button.primary', { type: 'button', onclick: () => { dialog.close(); act.private(who); } }, t('person.private')),
h('button', { type: 'button', onclick: () => { dialog.close(); act.mention(who.nick); } }, t('person.mention')),
owner && (known.role === 'moderator' ? does('member', 'member') : does('moderator', 'moderator')),
above && (known.muted ? does('unmute', 'unmute') : does('mute', 'mute')),
above && does('kick', 'kick', true),
above && h('button.danger', { type: 'button', onclick: () => ban(model, room, who) }, `${t('person.ban')}…`)),
], { name: 'person' });
}
export function settings(now, change, quit) {
const canNotify = isSecureContext && 'Notification' in globalThis;
const theme = h('select', { onchange: () => change({ theme: theme.value }) },
...['auto', 'light', 'dark'].map((value) => h('option', { value, selected: value === now.theme }, t(`settings.theme.${value}`))));
const note = h('span.note', null, canNotify ? '' : t('settings.notify.no'));
const notify = h('input', { type: 'checkbox', checked: now.notify && canNotify && Notification.permission === 'granted', disabled: !canNotify });
notify.onchange = async () => {
if (notify.checked && await Notification.requestPermission() !== 'granted') {
notify.checked = false;
note.textContent = t('settings.notify.denied');
}
change({ notify: notify.checked });
};
const dialog = open(t('settings.title'), [
field(t('settings.theme'), theme),
h('label.check', null, notify, h('span', null, t('settings.notify'), note)),
h('div.actions', null, h('button.danger', { type: 'button', onclick: () => { dialog.close(); quit(); } }, icon('exit'), t('settings.quit'))),
h('p.note', null, t('settings.quit.note')),
], { name: 'settings' });
}
