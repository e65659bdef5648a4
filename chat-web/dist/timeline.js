const TOGETHER = 5 * 60_000;
const MOST = 10;
const two = (number) => String(number).padStart(2, '0');
export const isTime = (time) => !Number.isNaN(new Date(time).getTime());
export function day(time) {
const date = new Date(time);
return isTime(time) ? `${String(date.getFullYear()).padStart(4, '0')}-${two(date.getMonth() + 1)}-${two(date.getDate())}` : '';
}
export function stamp(time) {
if (!isTime(time)) return '';
const date = new Date(time);
const east = -date.getTimezoneOffset();
const zone = `${east < 0 ? '-' : '+'}${two(Math.floor(Math.abs(east) / 60))}:${two(Math.abs(east) % 60)}`;
return `${day(time)}T${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}${zone}`;
}
export function daysAgo(time, now) {
const midnight = (at) => { const date = new Date(at); return Date.UTC(date.getFullYear(), date.getMonth(), date.getDate()); };
return Math.round((midnight(now) - midnight(time)) / 86_400_000);
}
export function nextDay(now) {
const date = new Date(now);
return new Date(date.getFullYear(), date.getMonth(), date.getDate() + 1).getTime();
}
export function group(before, record) {
const { group: its, record: above } = before ?? {};
const goes = its && above.kind === 'message' && record.kind === 'message' && above.member === record.member && above.nick === record.nick
&& its.size < MOST && record.time - its.since < TOGETHER && day(above.time) === day(record.time);
return goes ? { since: its.since, size: its.size + 1 } : { since: record.time, size: 1 };
}
