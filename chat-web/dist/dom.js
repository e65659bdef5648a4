export function h(tag, props, ...children) {
const [name, ...classes] = tag.split('.');
const element = document.createElement(name);
if (classes.length) element.className = classes.join(' ');
for (const [key, value] of Object.entries(props ?? {})) {
if (value === undefined || value === null || value === false) continue;
if (key.startsWith('on')) element.addEventListener(key.slice(2), value);
else if (key in element && !key.includes('-')) element[key] = value;
else element.setAttribute(key, value === true ? '' : value);
}
element.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
return element;
}
export function icon(name) {
const svg = document.createElementNS(SVG, 'svg');
const use = document.createElementNS(SVG, 'use');
use.setAttribute('href', `#i-${name}`);
svg.setAttribute('aria-hidden', 'true');
svg.append(use);
return svg;
}
export const known = document.querySelector('meta[name=chat-identity]')?.content === 'known';
export const $ = (id) => document.getElementById(id);
export function avatar({ member, nick }) {
const element = h('span.avatar', { 'aria-hidden': 'true' });
dress(element, { member, nick });
return element;
}
export function dress(element, { member, nick }) {
const [first] = new Intl.Segmenter(undefined, { granularity: 'grapheme' }).segment(nick || '?');
element.textContent = first.segment.toLocaleUpperCase();
element.style.setProperty('--hue', String(hue(member)));
}
export function hue(member) {
const bytes = atob(member || 'AAAA');
return ((bytes.charCodeAt(0) * 256 + bytes.charCodeAt(1)) * 137) % 360;
}
export function soon(act) {
let frame = 0;
let timer = 0;
const now = () => {
cancelAnimationFrame(frame);
clearTimeout(timer);
frame = 0;
act();
};
return () => {
if (frame) return;
frame = requestAnimationFrame(now);
timer = setTimeout(now, 100);
};
}
export function speak(text) {
$('spoken').textContent = text;
}
const SVG = 'http://www.w3.org/2000/svg';
const LINK = /\bhttps?:\/\/[^\s<>"]+/g;
export function linked(text) {
const parts = [];
let end = 0;
for (const match of text.matchAll(LINK)) {
const url = match[0].replace(/[.,;:!?)\]}'»”]+$/, '');
if (!URL.canParse(url)) continue;
const room = roomHere(url);
parts.push(text.slice(end, match.index), h('a', room ? { href: room } : { href: url, target: '_blank', rel: 'noopener noreferrer' }, url));
end = match.index + url.length;
}
parts.push(text.slice(end));
return parts;
}
function roomHere(url) {
const { origin, pathname, search, hash } = new URL(url);
const same = origin === location.origin && pathname === location.pathname && search === location.search;
return same && ROOM.test(hash) ? hash : null;
}
export const ROOM = /^#\/(?:(lobby)|room\/(\d{1,9}))$/;
