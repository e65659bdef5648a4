// Slash commands: what a line of input asks for. They are those of the terminal client.

import { known } from './dom.js';

/**
 * Name, what is written after it, and the other names it has. `nick`: the first word is somebody's name. `room`: it is about the room
 * that is open.
 * @typedef {{ name: string, usage: string, also?: string[], nick?: boolean, room?: boolean }} Slash
 */

/** @type {Slash[]} */
const ALL = [
  { name: 'me', usage: '/me TEXT', room: true },
  { name: 'msg', usage: '/msg NICK TEXT', nick: true },
  { name: 'nick', usage: '/nick NICK [LABEL]', also: ['changename'] },
  { name: 'online', usage: '/online', also: ['members'] },
  { name: 'rooms', usage: '/rooms' },
  { name: 'create', usage: '/create [NAME]' },
  { name: 'join', usage: '/join NUMBER|lobby' },
  { name: 'switch', usage: '/switch NUMBER|lobby|NICK', nick: true },
  { name: 'leave', usage: '/leave', room: true },
  { name: 'topic', usage: '/topic [TEXT]', room: true },
  { name: 'password', usage: '/password', room: true },
  { name: 'kick', usage: '/kick NICK [REASON]', room: true, nick: true },
  { name: 'ban', usage: '/ban NICK [REASON]', room: true, nick: true },
  { name: 'unban', usage: '/unban NICK', room: true, nick: true },
  { name: 'mute', usage: '/mute NICK [SECONDS]', room: true, nick: true },
  { name: 'unmute', usage: '/unmute NICK', room: true, nick: true },
  { name: 'role', usage: '/role NICK member|moderator|owner', room: true, nick: true },
  { name: 'redact', usage: '/redact [NICK]', room: true, nick: true },
  { name: 'block', usage: '/block NICK', nick: true },
  { name: 'unblock', usage: '/unblock NICK', nick: true },
  { name: 'help', usage: '/help', also: ['pomoc'] },
  { name: 'quit', usage: '/quit', also: ['wyjdz'] },
];

export const SLASHES = ALL.filter(({ name }) => !(known && name === 'nick'));

/**
 * Reads a line.
 * @param {string} line
 * @returns {{ say: string } | { command: Slash, rest: string, word: string, after: string } | { unknown: string }}
 */
export function parse(line) {
  if (!line.startsWith('/')) return { say: line };
  if (line.startsWith('//')) return { say: line.slice(1) };
  const [, name, rest] = /^\/(\S*)\s*([\s\S]*)$/.exec(line);
  const command = SLASHES.find((each) => each.name === name || each.also?.includes(name));
  if (!command) return { unknown: name };
  const [, word, after] = /^(\S*)\s*([\s\S]*)$/.exec(rest.trim());
  return { command, rest: rest.trim(), word, after };
}
