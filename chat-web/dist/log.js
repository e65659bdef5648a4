import { $, avatar, h, icon, linked, hue, soon } from './dom.js';
import { isSaid } from './room.js';
import { cut } from './links.js';
import { t } from './texts.js';
import { day, group, nextDay, stamp } from './timeline.js';
import { dayText, eventText, followZone, fullTime, reasonText, timeText } from './words.js';
const LONG = 1_500;
const LINES = 18;
const log = $('log');
const way = $('on-its-way');
const live = $('log-live');
const scroll = $('log-scroll');
const toEnd = $('to-end');
export class Log {
#room = null;
#fresh = 0;
#empty = false;
#seen = { top: 0, height: 0 };
#shown = new WeakMap();
#groups = new WeakMap();
#day = '';
#midnight = 0;
#grew = soon(() => {
this.#trim();
if (this.stuck) this.toEnd();
else this.#button();
});
constructor(model, acts, signal) {
this.model = model;
this.acts = acts;
scroll.addEventListener('scroll', () => this.#scrolled(), { passive: true, signal });
scroll.addEventListener('keydown', (event) => this.#walk(event), { signal });
log.addEventListener('focusin', ({ target }) => this.#reach(target, 0), { signal });
log.addEventListener('focusout', ({ target }) => this.#reach(target, -1), { signal });
log.addEventListener('click', ({ target }) => {
if (!target.closest('button, a') && getSelection().isCollapsed) target.closest('.message')?.focus({ preventScroll: true });
}, { signal });
toEnd.addEventListener('click', () => this.toEnd(), { signal });
const sized = new ResizeObserver(() => { if (this.stuck) this.toEnd(); });
sized.observe(scroll);
signal.addEventListener('abort', () => { sized.disconnect(); clearTimeout(this.#midnight); });
document.addEventListener('visibilitychange', () => { if (!document.hidden) this.#date(); }, { signal });
this.#date();
}
#date() {
clearTimeout(this.#midnight);
this.#midnight = setTimeout(() => this.#date(), Math.min(nextDay(Date.now()) - Date.now() + 50, 3_600_000));
if (followZone()) return this.rebuild();
for (const line of log.querySelectorAll('.day time')) line.textContent = dayText(Number(line.dataset.time));
}
stuck = true;
show(room) {
this.#room = room;
this.stuck = true;
this.rebuild();
}
rebuild() {
const room = this.#room;
const below = scroll.scrollHeight - scroll.scrollTop;
const focused = log.contains(document.activeElement) ? document.activeElement.closest('.message')?.dataset.seq : undefined;
live.setAttribute('aria-live', 'off');
const all = [];
this.#day = '';
for (const at of room?.items.keys() ?? []) all.push(...this.#make(room, at));
this.#day = room?.items.length ? day(room.items.at(-1).shown.record.time) : '';
log.replaceChildren(...all);
way.replaceChildren(...(room ? this.#onTheWay(room) : []));
this.#top();
if (focused) log.querySelector(`[data-seq="${focused}"]`)?.focus({ preventScroll: true });
if (this.stuck) this.toEnd();
else this.#scrollTo(scroll.scrollHeight - below);
requestAnimationFrame(() => live.setAttribute('aria-live', 'polite'));
}
earlier(room, count) {
if (room !== this.#room) return;
const below = scroll.scrollHeight - scroll.scrollTop;
live.setAttribute('aria-live', 'off');
const all = [];
for (let at = 0; at < count; at += 1) all.push(...this.#make(room, at));
log.prepend(...all);
for (let at = count, same = false; room.items[at] && !same; at += 1) {
const before = this.#groups.get(room.items[at]);
this.#redraw(room, at, true);
const now = this.#groups.get(room.items[at]);
same = at > count && before?.since === now?.since && before?.size === now?.size;
}
this.#top();
if (this.stuck) this.toEnd();
else this.#scrollTo(scroll.scrollHeight - below);
requestAnimationFrame(() => live.setAttribute('aria-live', 'polite'));
}
changed(room, item) {
if (room !== this.#room) return;
this.#redraw(room, room.items.indexOf(item));
this.#grew();
}
append(room, item, replaces) {
if (room !== this.#room) return;
if (replaces >= 0) way.children[replaces]?.remove();
const its = day(item.shown.record.time);
log.append(...this.#make(room, room.items.length - 1, its !== this.#day));
this.#day = its;
if (this.#empty && isSaid(item.shown)) this.#top();
if (!this.stuck && item.shown.record.member !== this.model.me.member && isSaid(item.shown)) this.#fresh += 1;
this.#grew();
}
word(room, text, time) {
if (room !== this.#room) return;
if (time !== undefined && day(time) > this.#day) {
log.append(dayLine(time));
this.#day = day(time);
}
log.append(h('li.event.word', null, h('span', null, text), time !== undefined && timeOf(time)));
this.#grew();
}
card(room, element) {
if (room !== this.#room) return;
log.append(h('li.aside', null, element));
this.toEnd();
}
pending(room) {
if (room !== this.#room) return;
way.replaceChildren(...this.#onTheWay(room));
this.#grew();
}
toEnd() {
this.stuck = true;
this.#fresh = 0;
this.#scrollTo(scroll.scrollHeight);
toEnd.hidden = true;
}
turn(pages) { scroll.scrollBy(0, pages * scroll.clientHeight * 0.9); }
#scrollTo(top) {
scroll.scrollTop = top;
this.#seen = { top: scroll.scrollTop, height: scroll.scrollHeight };
}
#button() {
toEnd.hidden = this.stuck;
toEnd.querySelector('span').textContent = this.#fresh ? t('room.new', { n: this.#fresh }) : '';
}
#scrolled() {
const { scrollTop: top, scrollHeight: height, clientHeight } = scroll;
if (height - top - clientHeight < 40) this.stuck = true;
else if (top < this.#seen.top && height >= this.#seen.height) this.stuck = false;
this.#seen = { top, height };
if (this.stuck) this.#fresh = 0;
this.#button();
if (top < 200 && this.#room?.hasMore) { this.model.load(this.#room); this.#top(); }
}
#trim() {
const room = this.#room;
if (!room || !this.stuck) return;
const focused = log.contains(document.activeElement);
const gone = this.model.trim(room);
if (!gone.length) return;
const first = this.#shown.get(room.items.find((item) => this.#shown.get(item)?.length))?.[0];
while (log.firstChild && log.firstChild !== first) log.firstChild.remove();
this.#redraw(room, 0);
if (focused && !log.contains(document.activeElement)) scroll.focus({ preventScroll: true });
this.#top();
}
#walk(event) {
if (!['ArrowUp', 'ArrowDown'].includes(event.key) || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
const from = event.target.closest('.message');
const way = event.key === 'ArrowUp' ? 'previousElementSibling' : 'nextElementSibling';
let next = from ? from[way] : log.lastElementChild;
while (next && !next.matches('.message')) next = from ? next[way] : next.previousElementSibling;
if (!next && !from) return;
event.preventDefault();
next?.focus();
}
#reach(element, tabIndex) {
for (const button of element.closest('.message')?.querySelectorAll('button:not(.small)') ?? []) button.tabIndex = tabIndex;
}
#make(room, at, newDay = undefined) {
const item = room.items[at];
const before = room.items[at - 1] ?? null;
const its = this.#groups.get(before);
const { record } = item.shown;
if (isSaid(item.shown)) this.#groups.set(item, group(its && isSaid(before.shown) ? { record: before.shown.record, group: its } : null, record));
else this.#groups.delete(item);
const elements = this.#record(item, room, newDay ?? (!before || day(before.shown.record.time) !== day(record.time)));
if (item.seam) elements.push(h('li.event.word', null, t('room.missed')));
this.#shown.set(item, elements);
return elements;
}
#redraw(room, at, moved = at === 0) {
const item = room.items[at];
const old = item && this.#shown.get(item);
if (!old) return;
const focused = old.some((element) => element.contains(document.activeElement));
const fresh = this.#make(room, at, moved ? undefined : old[0]?.matches('.day'));
if (old[0]) old[0].before(...fresh);
else log.prepend(...fresh);
for (const element of old) element.remove();
if (focused) fresh.find((element) => element.matches('.message'))?.focus({ preventScroll: true });
}
#top() {
const room = this.#room;
let text = '';
if (room && room.out !== null) text = '';
else if (room?.loading || room?.oldest === null) text = t('room.loading');
else if (room && !room.hasMore) {
const first = room.items[0]?.shown.record;
if (!room.items.some(({ shown }) => isSaid(shown))) text = t('room.empty');
else if (!first || first.seq === 1) text = t('room.begin');
else text = t('room.begin-kept');
}
$('log-top').textContent = text;
this.#empty = text === t('room.empty');
}
#record(item, room, newDay) {
const { record } = item.shown;
const elements = newDay ? [dayLine(record.time)] : [];
if (!isSaid(item.shown) && record.kind !== 'blank') {
const text = eventText(record, room.view);
const lifts = record.kind === 'banned' && this.#isBanned(room, item);
if (text) {
elements.push(h('li.event', { 'data-seq': record.seq }, h('span', null, text), timeOf(record.time),
lifts && h('button.small', { type: 'button', onclick: () => this.acts.unban(record) }, t('ban.lift'))));
}
return elements;
}
const together = (this.#groups.get(item)?.size ?? 1) > 1;
const mine = record.member === this.model.me.member;
const content = item.shown.text === null
? h('p.text.unreadable', null, icon(record.kind === 'blank' ? 'close' : 'lock'), t(`message.${record.kind === 'blank' ? 'blank' : item.shown.unreadable ?? 'strange'}`))
: text(item.shown.text);
elements.push(this.#message({
record, content, mine, together, action: record.kind === 'action',
mark: mine && isSaid(item.shown) ? mark('check', t('message.sent')) : null,
redact: isSaid(item.shown) && this.model.mayRedact(room, record),
classes: item.shown.text === null ? 'closed' : '',
}));
return elements;
}
#isBanned(room, item) {
const { target } = item.shown.record.body;
const after = room.items.slice(room.items.indexOf(item) + 1).map(({ shown }) => shown.record);
return room.out === null && room.view.role !== 'member' && room.view.kind !== 'private'
&& !after.some(({ kind, body, member }) => (kind === 'unbanned' && body.target === target) || (kind === 'joined' && member === target));
}
#message({ record, content, mine, together, action, mark, classes, extra, redact }) {
const element = h(`li.message${together ? '.together' : ''}${mine ? '.mine' : ''}${action ? '.action' : ''}${classes ? `.${classes}` : ''}`, { 'data-seq': record.seq, tabIndex: -1 });
element.style.setProperty('--hue', String(hue(record.member)));
const time = timeOf(record.time);
const open = mine ? null : () => this.acts.person(record);
element.append(
h('span.side', null, avatar(record)),
h('div.body', null,
h('p.head', null,
together && h('span.spoken', null, t('message.by', { nick: record.nick })),
h('button.nick', { type: 'button', tabIndex: -1, onclick: open, disabled: !open }, h('bdi', null, record.nick)),
record.label && h('bdi.label', null, record.label), time),
h('div.line', null, content,
redact && h('button.icon.redact', { type: 'button', tabIndex: -1, title: t('message.redact'), 'aria-label': t('message.redact'), onclick: () => this.acts.redact(record) }, icon('close')), mark),
extra),
);
return element;
}
#onTheWay(room) {
const last = room.items.at(-1);
let above = last && this.#groups.has(last) ? { record: last.shown.record, group: this.#groups.get(last) } : null;
return room.pending.map((item) => {
const record = { ...this.model.me, seq: '', time: item.time, kind: item.action ? 'action' : 'message' };
above = { record, group: group(above, record) };
return this.#pending(item, room, record, above.group.size > 1);
});
}
#pending(item, room, record, together) {
const marks = {
queued: () => mark('clock', t('message.queued')),
pending: () => mark('clock', t('message.pending')),
sent: () => mark('check', t('message.sent')),
failed: () => mark('warn', ''),
unknown: () => mark('warn', ''),
};
const trouble = item.state === 'failed' || item.state === 'unknown';
const why = item.state === 'unknown' ? t('message.unknown') : t('message.failed', { why: reasonText(item.why) });
const element = this.#message({
record, content: text(item.plain), mine: true, together, action: item.action, mark: marks[item.state](), classes: `on-its-way.${item.state === 'queued' ? 'pending.queued' : item.state}`,
extra: trouble && h('p.trouble', { role: 'alert' }, why, ' ',
h('button.small', { type: 'button', onclick: () => this.model.again(room, item) }, t('message.again')),
h('button.small', { type: 'button', onclick: () => this.model.discard(room, item) }, t('message.discard'))),
});
return element;
}
}
const dayLine = (time) => h('li.day', null, h('time', { dateTime: day(time), 'data-time': time }, dayText(time)));
const timeOf = (time) => h('time', { dateTime: stamp(time), title: fullTime(time) }, timeText(time));
function mark(name, title) {
const element = h(`span.mark.is-${name}`, title ? { role: 'img', 'aria-label': title, title } : { 'aria-hidden': 'true' });
element.append(icon(name));
return element;
}
function text(whole) {
const end = cut(whole, LINES, LONG);
const element = h('p.text', { dir: 'auto' });
if (end === null) {
element.append(...linked(whole));
return element;
}
const button = h('button.small', { type: 'button', 'aria-expanded': 'false' }, t('message.more'));
const short = () => [...linked(whole, end), '…'];
const part = h('span', null, ...short());
button.addEventListener('click', () => {
const open = button.getAttribute('aria-expanded') !== 'true';
part.replaceChildren(...(open ? linked(whole) : short()));
button.setAttribute('aria-expanded', String(open));
button.textContent = t(open ? 'message.less' : 'message.more');
});
element.append(part, button);
return element;
}
