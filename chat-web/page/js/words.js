// How things are called: rooms, times, what happened.

import { has, language, t } from './texts.js';
import { daysAgo, isTime } from './timeline.js';

/** @typedef {import('./types.js').RoomView} RoomView */

// Dates and times are written as the reader's browser has them, whatever the language of the page.
let zone, clock, full, dayOf, dayOfYear;

/** Takes the reader's zone anew, for people travel. Whether it is another one. */
export function followZone() {
  const now = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (now === zone) return false;
  zone = now;
  clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });
  full = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'medium' });
  dayOf = new Intl.DateTimeFormat(undefined, { weekday: 'long', day: 'numeric', month: 'long' });
  dayOfYear = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'long', year: 'numeric' });
  return true;
}
followZone();

/** @param {number} time */
export const timeText = (time) => (isTime(time) ? clock.format(time) : '–');
/** @param {number} time */
export const fullTime = (time) => (isTime(time) ? full.format(time) : '');

/** @param {number} time */
export function dayText(time) {
  if (!isTime(time)) return t('day.unknown');
  const now = Date.now();
  const days = daysAgo(time, now);
  if (days === 0) return t('day.today');
  if (days === 1) return t('day.yesterday');
  return (new Date(time).getFullYear() === new Date(now).getFullYear() ? dayOf : dayOfYear).format(time);
}

/** Why something was not done. @param {string} code */
export const reasonText = (code) => (has(`error.${code}`) ? t(`error.${code}`) : code);

/** @param {RoomView} view */
export function roomName(view) {
  if (view.kind === 'lobby') return t('rooms.lobby');
  if (view.kind === 'private') return view.peer?.nick ?? '?';
  return view.name ?? t('room.group', { number: view.number ?? '?' });
}

/**
 * What a record says that is no message; none if there is nothing to say.
 * @param {import('./types.js').ChatRecord} record
 * @param {RoomView} view of the room
 * @returns {string | null}
 */
export function eventText({ kind, nick, body }, view) {
  const about = (key, gaps = {}) => {
    const what = t(key, { nick, target: body.nick ?? '', ...gaps });
    return body.reason && kind !== 'left' ? t('event.reason', { what, reason: body.reason }) : what;
  };
  switch (kind) {
    case 'created': return nick ? about('event.created') : null;
    // That somebody answers says it.
    case 'joined': return view.kind === 'private' ? null : about('event.joined');
    case 'reopened': return null;
    case 'closed': return about(nick ? 'event.closed' : 'event.closed.server');
    case 'left': return about(body.reason === 'expired' ? 'event.expired' : 'event.left');
    case 'topic': return about(body.topic ? 'event.topic' : 'event.no-topic', { topic: body.topic });
    case 'role': return about(nick ? 'event.role' : 'event.role.server', { role: t(`role.${body.role}`).toLocaleLowerCase(language) });
    case 'kicked': case 'banned': case 'unbanned': case 'muted': case 'unmuted': case 'password': return about(`event.${kind}`);
    case 'redacted': return about('event.redacted');
    case 'blocked': return about(body.blocked ? 'event.blocked' : 'event.unblocked');
    default: return t('message.strange');
  }
}
