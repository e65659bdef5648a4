import { links } from './links.js';
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
export const isLocal = /^(localhost|.*\.localhost|\[::1\]|127(\.\d+){3})$/.test(location.hostname);
export const known = document.querySelector('meta[name=chat-identity]')?.content === 'known';
export const $ = (id) => document.getElementById(id);
export function avatar({ member, nick }) {
const element = h('span.avatar', { 'aria-hidden': 'true' });
dress(element, { member, nick });
return element;
}
export function dress(element, { member, nick }) {
const [first] = new Intl.Segmenter(undefined, { granularity: 'grapheme' }).segment(nick || '?');
element.dataset.letter = first.segment.toLocaleUpperCase();
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
export function linked(text, end = text.length) {
const parts = [];
let past = 0;
for (const link of links(text)) {
if (link.begin >= end) break;
const room = roomHere(link.href);
const shown = text.slice(link.begin, Math.min(link.end, end));
parts.push(text.slice(past, link.begin), h('a', room ? { href: room } : { href: link.href, target: '_blank', rel: 'noopener noreferrer' }, shown));
past = link.end;
}
if (past < end) parts.push(text.slice(past, end));
return parts;
}
function roomHere(url) {
const { origin, pathname, search, hash } = new URL(url);
const same = origin === location.origin && pathname === location.pathname && search === location.search;
return same && ROOM.test(hash) ? hash : null;
}
export const ROOM = /^#\/(?:(lobby)|room\/(\d{1,9}))$/;
