// The middle of the page: what was said, in order, with what is still on its way below.

import { $, avatar, h, icon, linked, hue, soon } from './dom.js';
import { isSaid } from './room.js';
import { cut } from './links.js';
import { t } from './texts.js';
import { day, group, nextDay, stamp } from './timeline.js';
import { dayText, eventText, followZone, fullTime, reasonText, timeText } from './words.js';

/** @typedef {import('./room.js').Room} Room @typedef {import('./model.js').Model} Model @typedef {import('./room.js').RecordItem} RecordItem */

/** Longer texts are folded: characters, lines. */
const LONG = 1_500;
const LINES = 18;

const log = $('log');
/** What is on its way, below. */
const way = $('on-its-way');
const live = $('log-live');
const scroll = $('log-scroll');
const toEnd = $('to-end');

export class Log {
  /** @type {Room | null} */ #room = null;
  #fresh = 0;
  /** Whether it says that nothing was said here. */ #empty = false;
  /** Where it was scrolled to when that was last looked at, and how high it was then. */
  #seen = { top: 0, height: 0 };
  /** What shows a record. @type {WeakMap<RecordItem, HTMLElement[]>} */ #shown = new WeakMap();
  /** Where a message stands in its group. @type {WeakMap<RecordItem, import('./timeline.js').Group>} */ #groups = new WeakMap();
  /** The day of what stands last. */ #day = '';
  #midnight = 0;
  /** However much comes, the page is measured and scrolled once for each picture. */
  #grew = soon(() => {
    this.#trim();
    if (this.stuck) this.toEnd();
    else this.#button();
  });

  /**
   * @typedef {import('./types.js').ChatRecord} ChatRecord
   * @param {Model} model
   * @param {{ person: (person: { member: string, nick: string }) => void, redact: (record: ChatRecord) => void, unban: (record: ChatRecord) => void }} acts
   * @param {AbortSignal} signal ends it
   */
  constructor(model, acts, signal) {
    this.model = model;
    this.acts = acts;
    scroll.addEventListener('scroll', () => this.#scrolled(), { passive: true, signal });
    scroll.addEventListener('keydown', (event) => this.#walk(event), { signal });
    // One message at a time has buttons that Tab reaches; by touch, they are shown on the one that was touched.
    log.addEventListener('focusin', ({ target }) => this.#reach(target, 0), { signal });
    log.addEventListener('focusout', ({ target }) => this.#reach(target, -1), { signal });
    log.addEventListener('click', ({ target }) => {
      if (!target.closest('button, a') && getSelection().isCollapsed) target.closest('.message')?.focus({ preventScroll: true });
    }, { signal });
    toEnd.addEventListener('click', () => this.toEnd(), { signal });
    const sized = new ResizeObserver(() => { if (this.stuck) this.toEnd(); });
    sized.observe(scroll);
    signal.addEventListener('abort', () => { sized.disconnect(); clearTimeout(this.#midnight); });
    // A machine that slept through midnight, or has travelled, is looked at again at some time.
    document.addEventListener('visibilitychange', () => { if (!document.hidden) this.#date(); }, { signal });
    this.#date();
  }

  /** Days are called what they are called today, here; and again after midnight. */
  #date() {
    clearTimeout(this.#midnight);
    // At most an hour: the zone may change, and timers stand still while a machine sleeps.
    this.#midnight = setTimeout(() => this.#date(), Math.min(nextDay(Date.now()) - Date.now() + 50, 3_600_000));
    if (followZone()) return this.rebuild();
    for (const line of log.querySelectorAll('.day time')) line.textContent = dayText(Number(line.dataset.time));
  }

  /** Whether the newest message is in sight, and shall stay so. */
  stuck = true;

  /** @param {Room | null} room */
  show(room) {
    this.#room = room;
    this.stuck = true;
    this.rebuild();
  }

  /** All of the room anew; what is in sight stays where it is. */
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

  /** Earlier records have come: so many. What is in sight stays where it is. @param {Room} room @param {number} count */
  earlier(room, count) {
    if (room !== this.#room) return;
    const below = scroll.scrollHeight - scroll.scrollTop;
    live.setAttribute('aria-live', 'off');
    const all = [];
    for (let at = 0; at < count; at += 1) all.push(...this.#make(room, at));
    log.prepend(...all);
    // What stood at the top may belong to a group above, and so change the groups below.
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

  /** One record is shown otherwise. @param {Room} room @param {RecordItem} item */
  changed(room, item) {
    if (room !== this.#room) return;
    this.#redraw(room, room.items.indexOf(item));
    this.#grew();
  }

  /** A record has come. @param {Room} room @param {RecordItem} item @param {number} replaces the place of the message on its way that it is */
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

  /**
   * A word of this page, between the messages. It is not kept.
   * @param {Room | null} room @param {string} text @param {number} [time] when that was, if it is something that has happened
   */
  word(room, text, time) {
    if (room !== this.#room) return;
    if (time !== undefined && day(time) > this.#day) {
      log.append(dayLine(time));
      this.#day = day(time);
    }
    log.append(h('li.event.word', null, h('span', null, text), time !== undefined && timeOf(time)));
    this.#grew();
  }

  /** Several lines of this page, such as help. @param {Room | null} room @param {HTMLElement} element */
  card(room, element) {
    if (room !== this.#room) return;
    log.append(h('li.aside', null, element));
    this.toEnd();
  }

  /** What is on its way has changed. @param {Room} room */
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

  /** Goes up or down by so many pages of what is in sight. @param {number} pages */
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
    // That there is more below now is no wish to stay where one is; to have gone up is.
    if (height - top - clientHeight < 40) this.stuck = true;
    else if (top < this.#seen.top && height >= this.#seen.height) this.stuck = false;
    this.#seen = { top, height };
    if (this.stuck) this.#fresh = 0;
    this.#button();
    if (top < 200 && this.#room?.hasMore) { this.model.load(this.#room); this.#top(); }
  }

  /** Nobody looks further up: what is there goes, until somebody does. */
  #trim() {
    const room = this.#room;
    if (!room || !this.stuck) return;
    const focused = log.contains(document.activeElement);
    const gone = this.model.trim(room);
    if (!gone.length) return;
    // What the page itself said between them goes with them.
    const first = this.#shown.get(room.items.find((item) => this.#shown.get(item)?.length))?.[0];
    while (log.firstChild && log.firstChild !== first) log.firstChild.remove();
    this.#redraw(room, 0);
    if (focused && !log.contains(document.activeElement)) scroll.focus({ preventScroll: true });
    this.#top();
  }

  /** From message to message. @param {KeyboardEvent} event */
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

  /** @param {HTMLElement} element in the log @param {number} tabIndex of the buttons of its message */
  #reach(element, tabIndex) {
    for (const button of element.closest('.message')?.querySelectorAll('button:not(.small)') ?? []) button.tabIndex = tabIndex;
  }

  /** @param {Room} room @param {number} at the record's place @param {boolean} [newDay] whether another day begins with it */
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

  /** @param {Room} room @param {number} at @param {boolean} [moved] whether something else stands above it now */
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

  /** What stands above the oldest message. */
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

  /** @param {RecordItem} item @param {Room} room @param {boolean} newDay */
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

  /** Whether a ban is in force, and can be lifted from here. @param {Room} room @param {RecordItem} item */
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
          // Who does not see under which name it stands hears it.
          together && h('span.spoken', null, t('message.by', { nick: record.nick })),
          h('button.nick', { type: 'button', tabIndex: -1, onclick: open, disabled: !open }, h('bdi', null, record.nick)),
          record.label && h('bdi.label', null, record.label), time),
        h('div.line', null, content,
          redact && h('button.icon.redact', { type: 'button', tabIndex: -1, title: t('message.redact'), 'aria-label': t('message.redact'), onclick: () => this.acts.redact(record) }, icon('close')), mark),
        extra),
    );
    return element;
  }

  /** What is on its way, below what was said. @param {Room} room */
  #onTheWay(room) {
    const last = room.items.at(-1);
    let above = last && this.#groups.has(last) ? { record: last.shown.record, group: this.#groups.get(last) } : null;
    return room.pending.map((item) => {
      const record = { ...this.model.me, seq: '', time: item.time, kind: item.action ? 'action' : 'message' };
      above = { record, group: group(above, record) };
      return this.#pending(item, room, record, above.group.size > 1);
    });
  }

  /** @param {import('./room.js').PendingItem} item @param {Room} room @param {object} record the one to be @param {boolean} together with what is above it */
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

/** The line above what was said on a day. @param {number} time */
const dayLine = (time) => h('li.day', null, h('time', { dateTime: day(time), 'data-time': time }, dayText(time)));

/** @param {number} time */
const timeOf = (time) => h('time', { dateTime: stamp(time), title: fullTime(time) }, timeText(time));

/** @param {string} name @param {string} title */
function mark(name, title) {
  const element = h(`span.mark.is-${name}`, title ? { role: 'img', 'aria-label': title, title } : { 'aria-hidden': 'true' });
  element.append(icon(name));
  return element;
}

/** A text of any length, folded if it is long. @param {string} whole */
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
