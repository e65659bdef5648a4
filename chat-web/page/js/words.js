// How things are called: rooms, times, what happened.

import { language, t } from './texts.js';

/** @typedef {import('./types.js').RoomView} RoomView */

// Dates and times are written as the reader's browser has them, whatever the language of the page.
const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'medium' });
const dayOf = new Intl.DateTimeFormat(undefined, { weekday: 'long', day: 'numeric', month: 'long' });
const dayOfYear = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'long', year: 'numeric' });

/** @param {number} time */
export const timeText = (time) => clock.format(time);
/** @param {number} time */
export const fullTime = (time) => full.format(time);

/** @param {number} time */
export function dayText(time) {
  const [day, now] = [new Date(time), new Date()];
  const days = Math.round((new Date(now.getFullYear(), now.getMonth(), now.getDate()).getTime()
    - new Date(day.getFullYear(), day.getMonth(), day.getDate()).getTime()) / 86_400_000);
  if (days === 0) return t('day.today');
  if (days === 1) return t('day.yesterday');
  return (day.getFullYear() === now.getFullYear() ? dayOf : dayOfYear).format(day);
}

/** @param {RoomView} view */
export function roomName(view) {
  if (view.kind === 'lobby') return t('rooms.lobby');
  if (view.kind === 'private') return view.peer?.nick ?? '?';
  return view.name ?? t('room.group', { number: view.number ?? '?' });
}

/** A name that is written from right to left does not turn the sentence around it. @param {string} name */
const apart = (name) => (/[\u0590-\u08ff\ufb1d-\ufefc]/.test(name) ? `\u2068${name}\u2069` : name);

/**
 * What a record says that is no message; none if there is nothing to say.
 * @param {import('./types.js').ChatRecord} record
 * @returns {string | null}
 */
export function eventText({ kind, nick, body }) {
  const about = (key, gaps = {}) => {
    const what = t(key, { nick: apart(nick), target: apart(body.nick ?? ''), ...gaps });
    return body.reason && kind !== 'left' ? t('event.reason', { what, reason: body.reason }) : what;
  };
  switch (kind) {
    case 'created': return nick ? about('event.created') : null;
    case 'joined': return about('event.joined');
    case 'left': return about(body.reason === 'expired' ? 'event.expired' : 'event.left');
    case 'topic': return about(body.topic ? 'event.topic' : 'event.no-topic', { topic: body.topic });
    case 'role': return about(nick ? 'event.role' : 'event.role.server', { role: t(`role.${body.role}`).toLocaleLowerCase(language) });
    case 'kicked': case 'banned': case 'unbanned': case 'muted': case 'unmuted': case 'password': return about(`event.${kind}`);
    case 'redacted': return about('event.redacted');
    case 'blocked': return about(body.blocked ? 'event.blocked' : 'event.unblocked');
    default: return t('message.strange');
  }
}
