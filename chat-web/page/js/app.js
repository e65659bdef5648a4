// The page: the way in, and what connects the core's news to what is shown.

import { check_nick } from './chat_web_client.js';
import { Composer } from './composer.js';
import * as dialogs from './dialogs.js';
import { $, h, icon, known, speak } from './dom.js';
import { Log } from './log.js';
import { LOBBY, Model, isSaid } from './model.js';
import { drawMe, drawMembers, drawRooms } from './panels.js';
import { CommandError, Session, load } from './session.js';
import { SLASHES, parse } from './slash.js';
import * as store from './store.js';
import { apply, has, t } from './texts.js';
import { roomName } from './words.js';

const endpoint = document.querySelector('meta[name=chat-endpoint]')?.content ?? 'ws';

apply();
dressTheme();
begin();

function dressTheme() {
  const { theme } = store.settings();
  if (theme === 'auto') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
}

/** The window in which one chooses a name. */
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
  form.address.value = store.settings().address;
  /** @type {((nick: string, label: string) => void) | null} the name was refused; this tries another */
  let retry = null;
  let module;
  const ready = load().then((loaded) => { module = loaded; check(); }, () => { $('start-note').textContent = t('start.broken'); });

  function check() {
    if (!module) return;
    const wrong = known ? null : check_nick(form.nick.value);
    const address = asksAddress ? checkAddress(form.address.value) : null;
    // Nobody is scolded before they have begun.
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
    check();
    if (!module) return;
    if ($('continue').hidden) { if (!form.nick.value && !known) $('nick-note').textContent = t('nick.empty'); return; }
    const [nick, label] = known ? ['', ''] : [form.nick.value.trim(), form.label.value.trim()];
    $('start-note').textContent = '';
    busy(true);
    if (retry) return retry(nick, label);
    if (asksAddress) store.keepSettings({ address: form.address.value.trim() });
    const url = asksAddress ? addressUrl(form.address.value) : new URL(endpoint, location.href.split('#')[0]).href.replace(/^http/, 'ws');
    const trouble = (text) => { busy(false); $('start-note').textContent = text; };
    enter(url, module, { nick, label, secret: store.secret() }, {
      welcomed() { busy(false); },
      refused(failure, again) {
        retry = again;
        trouble(t(`error.${failure.code}`));
        form.nick.focus();
        form.nick.select();
      },
      ended({ why, reason }) {
        retry = null;
        trouble(why === 'cannot_connect' ? t(known ? 'start.refused' : 'start.unreachable') : t('notice.ended', { why: closedText(reason) }));
      },
    });
  };
  // Who is known need not say anything; who was in when the page was loaded anew said it before.
  if ((known || store.inside()) && module && !$('continue').hidden) form.requestSubmit();

  function busy(is) {
    $('continue').disabled = is;
    $('continue').textContent = t(is ? 'start.connecting' : 'start.continue');
  }
}

/** What is wrong with an address; null: nothing. @param {string} text */
function checkAddress(text) {
  const bare = text.trim().replace(/^wss?:\/\//, '');
  if (!bare) return 'start.address.empty';
  const parts = /^(\[[0-9a-fA-F:.]+\]|[^\s:/?#@[\]]+)(?::(\d+))?(\/\S*)?$/.exec(bare);
  if (!parts) return 'start.address.malformed';
  if (parts[2] !== undefined && (Number(parts[2]) < 1 || Number(parts[2]) > 65535)) return 'start.address.port';
  return URL.canParse(addressUrl(text)) ? null : 'start.address.malformed';
}

/** @param {string} text */
function addressUrl(text) {
  const trimmed = text.trim();
  const whole = /^wss?:\/\//.test(trimmed) ? trimmed : `${location.protocol === 'https:' ? 'wss' : 'ws'}://${trimmed}`;
  const rest = whole.replace(/^wss?:\/\//, '');
  return rest.includes('/') ? whole : `${whole}/ws`;
}

/** @param {string | null} reason */
const closedText = (reason) => (has(`closed.${reason}`) ? t(`closed.${reason}`) : t('closed.other'));

/**
 * Connects, and shows the chat once it is welcome.
 * @param {string} url @param {WebAssembly.Module} module @param {{ nick: string, label: string, secret: Uint8Array }} who
 * @param {{ welcomed: () => void, refused: (failure: any, again: (nick: string, label: string) => void) => void, ended: (event: any) => void }} start
 */
function enter(url, module, who, start) {
  /** @type {Chat | null} */
  let chat = null;
  const early = [];
  const session = new Session(url, module, who, (event) => {
    if (chat) return chat.take(event);
    if (event.event === 'welcomed') {
      store.enter();
      if (!known) store.keepName(event.welcome.nick, event.welcome.label);
      start.welcomed();
      $('start').hidden = true;
      $('chat').hidden = false;
      chat = new Chat(session, () => { session.forget(); enter(url, module, known ? who : { ...who, ...store.name() }, again(chat)); });
      chat.take(event);
    } else if (event.event === 'hello_refused') {
      start.refused(event.failure, (nick, label) => session.rename(nick, label));
    } else if (event.event === 'ended') {
      session.forget();
      start.ended(event);
    } else {
      early.push(event);
    }
  });
  session.start();
}

/** Connecting again from within the chat: what goes wrong is said there. @param {Chat} before */
function again(before) {
  return {
    welcomed() { before.gone(); },
    refused(failure) { before.notice(t('notice.ended', { why: t(`error.${failure.code}`) }), 'bad', true); },
    ended({ why, reason }) { before.notice(t('notice.ended', { why: why === 'cannot_connect' ? t('start.unreachable') : closedText(reason) }), 'bad', true); },
  };
}

/** The chat as it is shown. */
class Chat {
  #abort = new AbortController();
  #title = 0;

  /** @param {Session} session @param {() => void} reconnect */
  constructor(session, reconnect) {
    this.session = session;
    this.reconnect = reconnect;
    this.model = new Model(session, (what, detail) => this.changed(what, detail));
    this.log = new Log(this.model, (person) => this.openPerson(person), (record) => dialogs.redact(this.model, this.model.current, record));
    this.composer = new Composer(this.model, (line) => this.line(line));
    const { signal } = this.#abort;
    const on = (target, what, act) => target.addEventListener(what, act, { signal });
    on($('chat'), 'click', (event) => {
      const what = event.target.closest('[data-do]')?.dataset.do;
      if (what) this.act(what);
    });
    on($('me'), 'click', () => this.act('profile'));
    on(document, 'visibilitychange', () => {
      if (!document.hidden && this.model.current) this.model.markRead(this.model.current);
      this.title();
    });
    on(document, 'keydown', (event) => this.key(event));
    on(window, 'hashchange', () => this.followLink());
    $('me').disabled = known;
    this.notice('');
    drawRooms(this.model, () => {});
  }

  /** Another one takes its place. */
  gone() { this.#abort.abort(); }

  take(event) { this.model.take(event); }

  /** @param {string} what @param {any} detail */
  changed(what, detail) {
    const { model } = this;
    switch (what) {
      case 'me': drawMe(model); drawMembers(model, (person) => this.openPerson(person)); break;
      case 'rooms': this.rooms(); break;
      case 'current': this.current(); break;
      case 'up':
        if (detail) { this.notice(t('notice.back'), 'good'); setTimeout(() => this.#unnotice('good'), 3_000); }
        if (!detail && !model.lobby && !location.hash.startsWith('#/room/')) queueMicrotask(() => this.act('join'));
        if (!detail) this.followLink();
        break;
      case 'status': this.notice(detail > 1_500 ? t('notice.lost-in', { n: Math.round(detail / 1_000) }) : t('notice.lost'), 'bad'); break;
      case 'closing':
        this.notice(detail.reconnect ? t(detail.reason === 'restarting' ? 'notice.restarting' : 'notice.lost') : t('notice.closing', { why: closedText(detail.reason) }), 'bad');
        break;
      case 'ended':
        if (detail.why === 'asked' && !known) return location.reload();
        this.notice(t('notice.ended', { why: closedText(detail.why === 'asked' ? 'bye' : detail.reason) }), 'bad', true);
        break;
      case 'entered':
        if (!model.current || (model.current.id === LOBBY && detail.room.id === LOBBY)) model.show(detail.room);
        if (detail.room === model.current) this.current();
        break;
      case 'item': this.log.append(detail.room, detail.item, detail.replaces); if (detail.room === model.current) this.header(); break;
      case 'items': if (detail.room === model.current) { this.log.rebuild(); this.header(); } break;
      case 'pending': this.log.pending(detail.room); break;
      case 'people':
        if (detail === model.current) drawMembers(model, (person) => this.openPerson(person));
        if (detail.view.kind === 'private') this.rooms();
        break;
      case 'word': if (!detail.quiet) this.log.word(detail.room, t(detail.key, detail.gaps)); break;
      case 'said': this.said(detail); break;
      case 'silent': this.notice(t('notice.silent', { room: roomName(detail.room.view) }), 'warn'); break;
      case 'removed': this.notice(t(detail.reason === 'banned' ? 'notice.banned' : 'notice.removed', { room: roomName(detail.room.view) }), 'warn'); break;
      case 'locked-out': this.lockedOut(detail); break;
    }
  }

  rooms() {
    drawRooms(this.model, (room) => this.show(room.id));
    this.title();
  }

  /** @param {string} id */
  show(id) {
    const room = this.model.rooms.get(id);
    if (!room) return;
    this.#panel(null);
    if (room !== this.model.current) this.model.show(room);
    if (matchMedia('(hover: hover)').matches) this.composer.focus();
  }

  /** @type {import('./model.js').Room | null} */ #shown = null;

  current() {
    const room = this.model.current;
    const before = this.#shown;
    this.#shown = room;
    this.header();
    this.rooms();
    this.log.show(room);
    this.composer.show(before, room);
    drawMembers(this.model, (person) => this.openPerson(person));
    // On a phone the keyboard would cover half of what is to be read.
    if (matchMedia('(hover: hover)').matches && !document.querySelector('dialog')) this.composer.focus();
  }

  header() {
    const room = this.model.current;
    $('room-name').textContent = room ? roomName(room.view) : '';
    $('room-topic').textContent = room?.view.topic || (room?.view.kind === 'private' ? t('room.private-note') : '');
    $('share-open').hidden = !room || room.view.kind === 'private';
    $('leave-open').hidden = !room || room.view.kind === 'private';
    document.querySelector('[data-do=show-members]').hidden = !room;
    const seal = $('seal');
    seal.hidden = !room?.sealed && !room?.insecure;
    seal.className = `seal ${room?.insecure ? 'insecure' : 'sealed'}`;
    const key = room?.insecure ? 'seal.insecure' : room?.view.cipher === 'static_key' ? 'seal.key' : 'seal.encrypted';
    seal.replaceChildren(icon(room?.insecure ? 'warn' : 'lock'), h('span', null, t(key)));
    seal.title = room?.insecure ? t('seal.insecure.long') : t('seal.encrypted.long');
    const locked = room && (room.sealed || room.insecure) && room.locked;
    const warning = $('warning');
    warning.hidden = !room?.insecure && !locked;
    warning.className = `warning ${room?.insecure ? 'insecure' : 'locked'}`;
    warning.replaceChildren(
      icon(room?.insecure ? 'warn' : 'lock'),
      h('span', null, room?.insecure ? t('seal.insecure.long') : t(room?.view.cipher === 'static_key' ? 'seal.locked.key' : 'seal.locked')),
      ...(locked ? [h('button.small', { type: 'button', onclick: () => this.unlock(room) }, t('seal.unlock'))] : []));
    this.composer.draw(room);
    this.title();
  }

  unlock(room) {
    dialogs.unlock(this.model, (id) => this.show(id), room.view.number, roomName(room.view), room.view.cipher);
  }

  /** @param {unknown} error the lobby wants a key */
  lockedOut(error) {
    if (error instanceof CommandError && (error.code === 'key_missing' || error.code === 'cipher_mismatch')) {
      return dialogs.unlock(this.model, (id) => this.show(id), null, t('rooms.lobby'), error.cipher);
    }
    dialogs.tell(error);
  }

  /** @param {string} text @param {string} [kind] @param {boolean} [again] whether one may connect again */
  notice(text, kind = '', again = false) {
    const notice = $('notice');
    notice.hidden = !text;
    notice.className = `notice ${kind}`;
    notice.replaceChildren(h('span', null, text),
      ...(again ? [h('button.small', { type: 'button', onclick: () => this.reconnect() }, t('notice.again'))]
        : kind === 'warn' ? [h('button.icon', { type: 'button', title: t('close'), 'aria-label': t('close'), onclick: () => this.notice('') }, icon('close'))] : []));
  }

  #unnotice(kind) { if ($('notice').classList.contains(kind)) this.notice(''); }

  /** Somebody has said something. */
  said({ room, shown, mention, seen }) {
    if (seen || !document.hidden || !store.settings().notify) return;
    if (!('Notification' in globalThis) || Notification.permission !== 'granted') return;
    if (!mention && room.view.kind !== 'private' && room !== this.model.current) return;
    const title = room.view.kind === 'private' ? shown.record.nick : t('notify.said', { nick: shown.record.nick, room: roomName(room.view) });
    const notification = new Notification(title, { body: shown.text?.slice(0, 200) ?? '', tag: room.id });
    notification.onclick = () => { window.focus(); this.show(room.id); notification.close(); };
  }

  title() {
    const unread = [...this.model.rooms.values()].reduce((sum, room) => sum + room.unread, 0);
    const name = this.model.current ? `${roomName(this.model.current.view)} – ${t('app.title')}` : t('app.title');
    document.title = unread ? t('notify.title', { n: unread, title: name }) : name;
  }

  /** @param {string} what */
  act(what) {
    const room = this.model.current;
    const enter = (id) => this.show(id);
    switch (what) {
      case 'create': return dialogs.create(this.model, enter);
      case 'join': return dialogs.join(this.model, enter);
      case 'share': return room && dialogs.share(room);
      case 'leave': return room && dialogs.leave(room, () => this.leave(room));
      case 'profile': return dialogs.profile(this.model, (nick, label) => this.named(nick, label));
      case 'settings': return dialogs.settings(store.settings(), (changed) => { store.keepSettings(changed); dressTheme(); }, () => this.quit());
      case 'show-rooms': return this.#panel('rooms');
      case 'show-members': return this.#panel('members');
      case 'hide-panels': return this.#panel(null);
    }
  }

  /** @param {'rooms' | 'members' | null} which */
  #panel(which) {
    const { dataset } = $('chat');
    if (!which || dataset.panel === which) delete dataset.panel;
    else { dataset.panel = which; $(which).querySelector('button')?.focus(); }
  }

  async leave(room) {
    room.leaving = true;
    await this.session.ask('leave', room.id);
  }

  quit() { store.leave(); this.session.close(); }

  named(nick, label) {
    this.model.me = { ...this.model.me, nick, label };
    store.keepName(nick, label);
    this.changed('me');
  }

  openPerson(person) {
    dialogs.person(this.model, person, {
      private: (who) => this.direct(undefined, who.member),
      mention: (nick) => this.composer.insert(`${nick} `),
    });
  }

  async direct(nick, member, text) {
    try {
      const { room } = await this.session.ask('direct', nick, member);
      this.show(room.room);
      const opened = this.model.rooms.get(room.room);
      if (text && opened) this.model.send(opened, text);
      return opened;
    } catch (error) {
      dialogs.tell(error);
    }
  }

  /** A link such as `#/room/3`. */
  followLink() {
    const number = /^#\/room\/(\d{1,9})$/.exec(location.hash)?.[1];
    if (number !== undefined) dialogs.join(this.model, (id) => this.show(id), Number(number));
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    if (event.key === 'Escape' && $('chat').dataset.panel) return this.#panel(null);
    // Alt with the arrows goes through the rooms.
    if (!event.altKey || !['ArrowUp', 'ArrowDown'].includes(event.key) || document.querySelector('dialog')) return;
    event.preventDefault();
    const rooms = this.model.sorted();
    const at = rooms.indexOf(this.model.current);
    const next = rooms[(at + (event.key === 'ArrowDown' ? 1 : -1) + rooms.length) % rooms.length];
    if (next) { this.show(next.id); speak(roomName(next.view)); }
  }

  /** A line was written. @param {string} line */
  async line(line) {
    const room = this.model.current;
    if (!room) return;
    const read = parse(line);
    if ('say' in read) { this.log.stuck = true; return this.model.send(room, read.say); }
    if ('unknown' in read) return this.log.word(room, t('help.no-command', { name: read.unknown }));
    const { command, rest, word, after } = read;
    const usage = () => this.log.word(room, t('help.usage', { usage: command.usage }));
    const sanction = (what, reason = '', seconds = undefined) => this.session.ask('sanction', room.id, what, word, reason, seconds);
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
          if (rest === 'lobby') return this.model.rooms.has(LOBBY) ? this.show(LOBBY) : await this.model.enterLobby().then(() => this.show(LOBBY));
          if (!rest) return this.act('join');
          return /^\d{1,9}$/.test(rest) ? await dialogs.join(this.model, (id) => this.show(id), Number(rest)) : usage();
        case 'switch': {
          if (!rest) return usage();
          const found = this.model.sorted().find(({ view }) => (rest === 'lobby' ? view.kind === 'lobby' : /^\d+$/.test(rest) ? view.number === Number(rest) : view.peer?.nick === rest));
          return found ? this.show(found.id) : /^\d+$/.test(rest) ? this.log.word(room, t('error.not_in_room')) : await this.direct(rest);
        }
        case 'leave': return await this.leave(room);
        case 'topic': return rest ? await this.session.ask('topic', room.id, rest) : this.log.word(room, room.view.topic || '–');
        case 'password': return dialogs.password(this.model, room);
        case 'kick': case 'ban': return word ? await sanction(command.name, after) : usage();
        case 'unban': case 'unmute': return word && !after ? await sanction(command.name) : usage();
        case 'mute': return word && /^\d*$/.test(after) ? await sanction('mute', '', after ? Number(after) : undefined) : usage();
        case 'role': return ['member', 'moderator', 'owner'].includes(after) ? await sanction(after) : usage();
        case 'redact': {
          const theirs = ({ shown: { record } }) => (word ? record.nick === word : record.member === this.model.me.member);
          const last = room.items.findLast((item) => isSaid(item.shown) && theirs(item));
          return last ? await this.session.ask('redact', room.id, last.shown.record.seq) : this.log.word(room, t('redact.nothing'));
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
      this.log.word(room, dialogs.words(error));
    }
  }

  help() {
    this.log.card(this.model.current, h('div.help', null, h('h2', null, t('help.title')), h('dl', null,
      ...SLASHES.flatMap(({ name, usage }) => [h('dt', null, h('code', { dir: 'ltr' }, usage)), h('dd', null, t(`help.${name}`))]))));
  }
}
