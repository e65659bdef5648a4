// The middle of the page: what was said, in order, with what is still on its way below.

import { $, avatar, h, icon, linked, hue } from './dom.js';
import { isSaid } from './model.js';
import { has, t } from './texts.js';
import { dayText, eventText, fullTime, timeText } from './words.js';

/** @typedef {import('./model.js').Room} Room @typedef {import('./model.js').Model} Model @typedef {import('./model.js').RecordItem} RecordItem */

/** Messages of one person that are no further apart than this stand under one name, in milliseconds. */
const TOGETHER = 5 * 60_000;
/** Longer texts are folded: characters, lines. */
const LONG = 1_500;
const LINES = 18;

const log = $('log');
const live = $('log-live');
const scroll = $('log-scroll');
const toEnd = $('to-end');

export class Log {
  /** @type {Room | null} */ #room = null;
  #fresh = 0;

  /**
   * @param {Model} model @param {(person: { member: string, nick: string }) => void} openPerson
   * @param {(record: import('./types.js').ChatRecord) => void} redact
   */
  constructor(model, openPerson, redact) {
    this.redact = redact;
    this.model = model;
    this.openPerson = openPerson;
    scroll.addEventListener('scroll', () => this.#scrolled(), { passive: true });
    toEnd.addEventListener('click', () => this.toEnd());
    new ResizeObserver(() => { if (this.stuck) this.toEnd(); }).observe(scroll);
  }

  /** Whether the newest message is in sight, and shall stay so. */
  stuck = true;

  /** @param {Room | null} room */
  show(room) {
    this.#room = room;
    this.stuck = true;
    this.rebuild();
    this.toEnd();
  }

  /** All of the room anew; what is in sight stays where it is. */
  rebuild() {
    const room = this.#room;
    const below = scroll.scrollHeight - scroll.scrollTop;
    live.setAttribute('aria-live', 'off');
    if (!room) return log.replaceChildren();
    const all = [];
    let before = null;
    for (const item of room.items) {
      all.push(...this.#elements(item, before, room));
      before = item;
    }
    log.replaceChildren(...all, ...room.pending.map((item, at) => this.#pending(item, room, at)));
    this.#top();
    if (this.stuck) this.toEnd();
    else scroll.scrollTop = scroll.scrollHeight - below;
    requestAnimationFrame(() => live.setAttribute('aria-live', 'polite'));
  }

  /** A record has come. @param {Room} room @param {RecordItem} item @param {number} replaces the place of the message on its way that it is */
  append(room, item, replaces) {
    if (room !== this.#room) return;
    const pending = [...log.querySelectorAll('.on-its-way')];
    if (replaces >= 0) pending[replaces]?.remove();
    const rest = pending.filter((_, at) => at !== replaces)[0] ?? null;
    const elements = this.#elements(item, room.items.at(-2) ?? null, room);
    // What one said oneself was read when it was written.
    if (replaces >= 0) elements.forEach((element) => element.setAttribute('aria-hidden', 'false'));
    for (const element of elements) log.insertBefore(element, rest);
    this.#top();
    this.#grown(item.shown.record.member !== this.model.me.member && isSaid(item.shown));
  }

  /** A word of this page, between the messages. It is not kept. @param {Room} room @param {string} text */
  word(room, text) {
    if (room !== this.#room) return;
    log.insertBefore(h('li.event.word', null, h('span', { dir: 'auto' }, text)), log.querySelector('.on-its-way'));
    this.#grown(false);
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
    for (const element of log.querySelectorAll('.on-its-way')) element.remove();
    log.append(...room.pending.map((item, at) => this.#pending(item, room, at)));
    if (this.stuck) this.toEnd();
  }

  toEnd() {
    this.stuck = true;
    this.#fresh = 0;
    scroll.scrollTop = scroll.scrollHeight;
    toEnd.hidden = true;
  }

  #grown(counts) {
    if (this.stuck) return this.toEnd();
    if (counts) this.#fresh += 1;
    this.#button();
  }

  #button() {
    toEnd.hidden = this.stuck;
    toEnd.querySelector('span').textContent = this.#fresh ? t('room.new', { n: this.#fresh }) : '';
  }

  #scrolled() {
    this.stuck = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 40;
    if (this.stuck) this.#fresh = 0;
    this.#button();
    if (scroll.scrollTop < 200 && this.#room?.hasMore) { this.model.load(this.#room); this.#top(); }
  }

  /** What stands above the oldest message. */
  #top() {
    const room = this.#room;
    let text = '';
    if (room?.loading || room?.oldest === null) text = t('room.loading');
    else if (room && !room.hasMore) {
      const first = room.items[0]?.shown.record;
      if (!room.items.some(({ shown }) => isSaid(shown))) text = t('room.empty');
      else if (!first || first.seq === 1) text = t('room.begin');
      else text = t('room.begin-kept');
    }
    $('log-top').textContent = text;
  }

  /** @param {RecordItem} item @param {RecordItem | null} before @param {Room} room */
  #elements(item, before, room) {
    const { record } = item.shown;
    const elements = [];
    const newDay = !before || new Date(before.shown.record.time).toDateString() !== new Date(record.time).toDateString();
    if (newDay) elements.push(h('li.day', null, h('time', { dateTime: new Date(record.time).toISOString().slice(0, 10) }, dayText(record.time))));
    if (!isSaid(item.shown) && record.kind !== 'blank') {
      const text = eventText(record);
      if (text) elements.push(h('li.event', { 'data-seq': record.seq, title: fullTime(record.time) }, h('span', { dir: 'auto' }, text)));
      return elements;
    }
    const together = !newDay && before && isSaid(before.shown) && before.shown.record.kind === 'message' && record.kind === 'message'
      && before.shown.record.member === record.member && before.shown.record.nick === record.nick
      && record.time - before.shown.record.time < TOGETHER;
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

  #message({ record, content, mine, together, action, mark, classes, extra, redact }) {
    const element = h(`li.message${together ? '.together' : ''}${mine ? '.mine' : ''}${action ? '.action' : ''}${classes ? `.${classes}` : ''}`, { 'data-seq': record.seq });
    element.style.setProperty('--hue', String(hue(record.member)));
    const time = h('time', { dateTime: new Date(record.time).toISOString(), title: fullTime(record.time) }, timeText(record.time));
    const open = mine ? null : () => this.openPerson(record);
    element.append(
      h('span.side', null, avatar(record)),
      h('div.body', null,
        h('p.head', null,
          h('button.nick', { type: 'button', tabIndex: -1, onclick: open, disabled: !open }, h('bdi', null, record.nick)),
          record.label && h('bdi.label', null, record.label), time),
        h('div.line', null, content,
          redact && h('button.icon.redact', { type: 'button', tabIndex: -1, title: t('message.redact'), 'aria-label': t('message.redact'), onclick: () => this.redact(record) }, icon('close')), mark),
        extra),
    );
    return element;
  }

  /** @param {import('./model.js').PendingItem} item @param {Room} room @param {number} at its place among those on their way */
  #pending(item, room, at) {
    const last = room.items.at(-1)?.shown;
    const before = at > 0 ? room.pending[at - 1].action : !last || !isSaid(last) || last.record.member !== this.model.me.member || last.record.kind === 'action';
    const record = { ...this.model.me, seq: '', time: item.time };
    const marks = {
      pending: () => mark('clock', t('message.pending')),
      sent: () => mark('check', t('message.sent')),
      failed: () => mark('warn', ''),
      unknown: () => mark('warn', ''),
    };
    const trouble = item.state === 'failed' || item.state === 'unknown';
    const why = item.state === 'unknown' ? t('message.unknown') : t('message.failed', { why: has(`error.${item.why}`) ? t(`error.${item.why}`) : item.why });
    const element = this.#message({
      record, content: text(item.plain), mine: true, together: !before && !item.action, action: item.action, mark: marks[item.state](), classes: `on-its-way.${item.state}`,
      extra: trouble && h('p.trouble', { role: 'alert' }, why, ' ',
        h('button.small', { type: 'button', onclick: () => this.model.again(room, item) }, t('message.again')),
        h('button.small', { type: 'button', onclick: () => this.model.discard(room, item) }, t('message.discard'))),
    });
    return element;
  }
}

/** @param {string} name @param {string} title */
function mark(name, title) {
  const element = h(`span.mark.is-${name}`, title ? { role: 'img', 'aria-label': title, title } : { 'aria-hidden': 'true' });
  element.append(icon(name));
  return element;
}

/** A text of any length, folded if it is long. @param {string} whole */
function text(whole) {
  const lines = whole.split('\n');
  const element = h('p.text', { dir: 'auto' });
  if (whole.length <= LONG && lines.length <= LINES) {
    element.append(...linked(whole));
    return element;
  }
  const short = `${lines.slice(0, LINES).join('\n').slice(0, LONG)}…`;
  const button = h('button.small', { type: 'button', 'aria-expanded': 'false' }, t('message.more'));
  const part = h('span', null, ...linked(short));
  button.addEventListener('click', () => {
    const open = button.getAttribute('aria-expanded') !== 'true';
    part.replaceChildren(...linked(open ? whole : short));
    button.setAttribute('aria-expanded', String(open));
    button.textContent = t(open ? 'message.less' : 'message.more');
  });
  element.append(part, button);
  return element;
}
