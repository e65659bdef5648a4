// The left and the right of the page: rooms with what is unread in them, and people, live.

import { $, avatar, dress, h, icon } from './dom.js';
import { LOBBY } from './room.js';
import { t } from './texts.js';
import { roomName } from './words.js';

/** @typedef {import('./model.js').Model} Model @typedef {import('./room.js').Room} Room */

/** People of a room listed at most. */
const LISTED = 500;

/** @param {Model} model @param {(room: Room) => void} open */
export function drawRooms(model, open) {
  const list = $('room-list');
  const rooms = model.sorted();
  const section = (title, kind) => {
    const some = rooms.filter(({ view }) => view.kind === kind);
    if (!some.length) return [];
    const id = `rooms-${kind}`;
    return [title && h('h3', { id }, title),
      h('ul', { 'aria-labelledby': title ? id : null }, ...some.map((room) => roomEntry(model, room, open)))];
  };
  const focused = document.activeElement?.closest?.('#room-list button')?.dataset.room;
  list.replaceChildren(
    ...section('', 'lobby'),
    ...section(t('rooms.groups'), 'group'),
    ...section(t('rooms.private'), 'private'),
    ...(rooms.length ? [] : [h('p.quiet', null, t('rooms.none-in'))]),
  );
  if (focused) list.querySelector(`[data-room="${CSS.escape(focused)}"]`)?.focus();
  const unread = rooms.some((room) => room !== model.current && room.unread > 0);
  document.querySelector('.dot').hidden = !unread;
}

/** @param {Model} model @param {Room} room @param {(room: Room) => void} open */
function roomEntry(model, room, open) {
  const { view } = room;
  const sign = view.kind === 'private' && view.peer ? avatar(view.peer) : h('span.sign', null, icon(room.id === LOBBY ? 'home' : 'hash'));
  const seal = room.insecure ? h('span.mini.insecure', { title: t('seal.insecure') }, icon('warn'))
    : room.sealed && h('span.mini.sealed', { title: t('seal.encrypted') }, icon('lock'));
  const here = view.kind === 'private' && view.peer && h(`span.presence${room.here.has(view.peer.member) ? '.here' : ''}`);
  return h('li', null, h(`button.entry${room.unread ? '.unread' : ''}${room.out === null || room.out === 'back' ? '' : '.out'}`, {
    type: 'button', 'data-room': room.id, onclick: () => open(room), 'aria-current': room === model.current ? 'true' : null,
  },
  sign, here,
  h('bdi.title', null, roomName(view)),
  view.kind === 'group' && view.name && h('span.number', null, `#${view.number}`),
  seal,
  room.unread > 0 && h(`span.badge${room.mentioned || view.kind === 'private' ? '.mentioned' : ''}`, {
    'aria-label': t('rooms.unread', { n: room.unread }),
  }, room.unread > 99 ? '99+' : String(room.unread))));
}

/** @param {Model} model @param {(person: import('./types.js').Person & { role?: string, muted?: boolean }) => void} open */
export function drawMembers(model, open) {
  const room = model.current;
  const list = $('member-list');
  $('member-count').textContent = '';
  if (!room) return list.replaceChildren();
  const byNick = (a, b) => a.nick.localeCompare(b.nick);
  const here = [...room.here.values()].map((each) => ({ role: 'member', muted: false, ...room.members.get(each.member), ...each })).sort(byNick);
  const away = [...room.members.values()].filter((each) => !room.here.has(each.member)).sort(byNick);
  const count = room.count ?? here.length;
  $('member-count').textContent = String(count);
  document.querySelector('[data-do=show-members]').setAttribute('aria-label', `${count}: ${t('members.show')}`);
  const entry = (person, isHere) => {
    const me = person.member === model.me.member;
    return h('li', null, h('button.entry.person', { type: 'button', 'data-member': person.member, disabled: me, onclick: () => open(person) },
      avatar(person), h(`span.presence${isHere ? '.here' : ''}`),
      h('span.who', null,
        h('span.title', null, h('bdi', null, person.nick), me && h('span.you', null, ` (${t('members.you')})`)),
        person.label && h('bdi.label', null, person.label)),
      person.muted && h('span.role', null, t('members.muted')),
      person.role !== 'member' && h(`span.role.${person.role}`, null, t(`role.${person.role}`))));
  };
  const section = (title, people, isHere) => (people.length
    ? [h('h3', null, `${title} — ${people.length}`), h('ul', null, ...people.slice(0, LISTED).map((each) => entry(each, isHere)))] : []);
  const focused = list.contains(document.activeElement) ? document.activeElement.dataset.member : undefined;
  const { scrollTop } = list;
  list.replaceChildren(
    ...(room.count === null ? [] : [h('p.quiet', null, t('members.count', { n: room.count }))]),
    ...section(t('members.here'), here, true),
    ...section(t('members.away'), away, false),
  );
  list.scrollTop = scrollTop;
  // Whoever was looked at and is gone: the list itself, so that Tab goes on from here.
  if (focused) (list.querySelector(`[data-member="${CSS.escape(focused)}"]`) ?? list).focus();
}

/** @param {Model} model */
export function drawMe(model) {
  const me = $('me');
  dress(me.querySelector('.avatar'), model.me);
  me.querySelector('.nick').textContent = model.me.nick;
  me.querySelector('.label').textContent = model.me.label;
  // What is written on it is its name; what it does is told by the tooltip.
  me.removeAttribute('aria-label');
}
