// Making elements. Texts become text nodes and nothing else.

import { links } from './links.js';

/**
 * @param {string} tag with classes: `p.note.bad`
 * @param {Record<string, any> | null} [props] properties, `on…` listeners, and attributes (`aria-…`, `data-…`, `role`, …)
 * @param {...(Node | string | null | undefined | false)} children
 * @returns {HTMLElement & Record<string, any>}
 */
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

/** A picture of `index.html`'s collection. @param {string} name */
export function icon(name) {
  const svg = document.createElementNS(SVG, 'svg');
  const use = document.createElementNS(SVG, 'use');
  use.setAttribute('href', `#i-${name}`);
  svg.setAttribute('aria-hidden', 'true');
  svg.append(use);
  return svg;
}

/** Whether this page comes from the machine itself, by a name that means another one elsewhere. */
export const isLocal = /^(localhost|.*\.localhost|\[::1\]|127(\.\d+){3})$/.test(location.hostname);

/** Whether an application around the chat knows who one is: nobody is asked for a name then, and nobody can change it. */
export const known = document.querySelector('meta[name=chat-identity]')?.content === 'known';

/** @param {string} id @returns {any} */
export const $ = (id) => document.getElementById(id);

/** Somebody's sign: the beginning of their name on a colour of their own. @param {{ member: string, nick: string }} person */
export function avatar({ member, nick }) {
  const element = h('span.avatar', { 'aria-hidden': 'true' });
  dress(element, { member, nick });
  return element;
}

/** @param {HTMLElement} element @param {{ member: string, nick: string }} person */
export function dress(element, { member, nick }) {
  const [first] = new Intl.Segmenter(undefined, { granularity: 'grapheme' }).segment(nick || '?');
  // It is drawn by the style, so that nobody copies it along with what was said.
  element.dataset.letter = first.segment.toLocaleUpperCase();
  element.style.setProperty('--hue', String(hue(member)));
}

/** A colour for a member, the same everywhere. @param {string} member */
export function hue(member) {
  const bytes = atob(member || 'AAAA');
  return ((bytes.charCodeAt(0) * 256 + bytes.charCodeAt(1)) * 137) % 360;
}

/**
 * What is done once before the next picture, however often it is asked for meanwhile. A page that nobody sees has no pictures; then it
 * is done soon.
 * @param {() => void} act
 */
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

/** Reads something out to those who do not see the page. @param {string} text */
export function speak(text) {
  $('spoken').textContent = text;
}

const SVG = 'http://www.w3.org/2000/svg';
/**
 * A text of somebody's, with its links. Nothing in it is ever anything but text.
 * @param {string} text @param {number} [end] where it is cut; a link that is cut still leads where it leads
 * @returns {(Node | string)[]}
 */
export function linked(text, end = text.length) {
  const parts = [];
  let past = 0;
  for (const link of links(text)) {
    if (link.begin >= end) break;
    // A room of this server is entered here: another tab would take over from this one.
    const room = roomHere(link.href);
    const shown = text.slice(link.begin, Math.min(link.end, end));
    parts.push(text.slice(past, link.begin), h('a', room ? { href: room } : { href: link.href, target: '_blank', rel: 'noopener noreferrer' }, shown));
    past = link.end;
  }
  if (past < end) parts.push(text.slice(past, end));
  return parts;
}

/** The last part of a link to a room of this page: `#/room/3`. @param {string} url @returns {string | null} */
function roomHere(url) {
  const { origin, pathname, search, hash } = new URL(url);
  const same = origin === location.origin && pathname === location.pathname && search === location.search;
  return same && ROOM.test(hash) ? hash : null;
}

/** What stands behind `#` in a link to a room. */
export const ROOM = /^#\/(?:(lobby)|room\/(\d{1,9}))$/;
