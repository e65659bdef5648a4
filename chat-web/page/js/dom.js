// Making elements. Texts become text nodes and nothing else.

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
  element.textContent = first.segment.toLocaleUpperCase();
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
const LINK = /\bhttps?:\/\/[^\s<>"]+/g;

/**
 * A text of somebody's, with its links. Nothing in it is ever anything but text.
 * @param {string} text
 * @returns {(Node | string)[]}
 */
export function linked(text) {
  const parts = [];
  let end = 0;
  for (const match of text.matchAll(LINK)) {
    // What ends a sentence is not of the link.
    const url = match[0].replace(/[.,;:!?)\]}'»”]+$/, '');
    if (!URL.canParse(url)) continue;
    // A room of this server is entered here: another tab would take over from this one.
    const room = roomHere(url);
    parts.push(text.slice(end, match.index), h('a', room ? { href: room } : { href: url, target: '_blank', rel: 'noopener noreferrer' }, url));
    end = match.index + url.length;
  }
  parts.push(text.slice(end));
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
