// What sets messages apart: days as the reader's clock and zone have them, and groups under one name.

/** A group of one person's messages ends after so many milliseconds and so many messages. */
const TOGETHER = 5 * 60_000;
const MOST = 10;

const two = (number) => String(number).padStart(2, '0');
/** Whether a date can be told of it: a server's clock may be anywhere. @param {number} time */
export const isTime = (time) => !Number.isNaN(new Date(time).getTime());

/** The day of a time in the reader's zone: `2026-11-29`. @param {number} time */
export function day(time) {
  const date = new Date(time);
  return isTime(time) ? `${String(date.getFullYear()).padStart(4, '0')}-${two(date.getMonth() + 1)}-${two(date.getDate())}` : '';
}

/** A time in the reader's zone, with the zone: `2026-11-29T23:30:00+02:00`. @param {number} time */
export function stamp(time) {
  if (!isTime(time)) return '';
  const date = new Date(time);
  const east = -date.getTimezoneOffset();
  const zone = `${east < 0 ? '-' : '+'}${two(Math.floor(Math.abs(east) / 60))}:${two(Math.abs(east) % 60)}`;
  return `${day(time)}T${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}${zone}`;
}

/** How many midnights lie between two times. @param {number} time @param {number} now */
export function daysAgo(time, now) {
  const midnight = (at) => { const date = new Date(at); return Date.UTC(date.getFullYear(), date.getMonth(), date.getDate()); };
  return Math.round((midnight(now) - midnight(time)) / 86_400_000);
}

/** The next midnight. @param {number} now */
export function nextDay(now) {
  const date = new Date(now);
  return new Date(date.getFullYear(), date.getMonth(), date.getDate() + 1).getTime();
}

/**
 * Where a message stands in a group: the group's first time, and how many there are so far. `before`: the message above it, with its
 * group; none, if something else is there.
 * @typedef {{ since: number, size: number }} Group
 * @typedef {{ member: string, nick: string, kind: string | number, time: number }} Said
 * @param {{ record: Said, group: Group } | null} before @param {Said} record
 * @returns {Group}
 */
export function group(before, record) {
  const { group: its, record: above } = before ?? {};
  const goes = its && above.kind === 'message' && record.kind === 'message' && above.member === record.member && above.nick === record.nick
    && its.size < MOST && record.time - its.since < TOGETHER && day(above.time) === day(record.time);
  return goes ? { since: its.since, size: its.size + 1 } : { since: record.time, size: 1 };
}
