// What is being typed: keys that belong to an input method, and whom a text means.

/**
 * Whether a key is for an input method: what it does is choosing characters, never sending. Safari says so only by the key code.
 * @param {{ isComposing: boolean, keyCode: number }} event
 */
export const composes = (event) => event.isComposing || event.keyCode === 229;

/** The beginning of a name behind `@`, at the end of a text. Not the `@` of a mail address. @param {string} before @returns {string | null} */
export const begunMention = (before) => /(?<![A-Za-z0-9_.+-])@([^\s@]*)$/.exec(before)?.[1] ?? null;

/** The part of `text` that is compared. Both sides are written alike, whatever the language of the browser. @param {string} text */
const folded = (text) => text.normalize('NFC').toLowerCase();

/**
 * Whether a text means somebody. Behind `@` it is whoever has the longest of the names that begin what follows: not all scripts put
 * spaces behind a name. A bare name has to stand alone.
 * @param {string | null} text @param {string} nick @param {Iterable<string>} [names] of all who may be meant
 */
export function mentions(text, nick, names = []) {
  if (!text || !nick) return false;
  const [lower, name] = [folded(text), folded(nick)];
  if (!lower.includes(name)) return false;
  const longer = [...new Set([...names].map(folded))].filter((other) => other.length > name.length && other.startsWith(name));
  // A name before `@` is half of a mail address.
  const letter = /[\p{L}\p{N}\p{M}_]/u;
  const goesOn = /[\p{L}\p{N}\p{M}_@]/u;
  // A letter beyond the first 65,536 is two units.
  const before = (at) => String.fromCodePoint(lower.codePointAt(at - (/[\udc00-\udfff]/.test(lower[at - 1] ?? '') ? 2 : 1)) ?? 32);
  for (let at = lower.indexOf(name); at >= 0; at = lower.indexOf(name, at + 1)) {
    if (lower[at - 1] === '@') {
      if (begunMention(lower.slice(0, at)) === '' && !longer.some((other) => lower.startsWith(other, at))) return true;
    } else if (!letter.test(at ? before(at) : ' ') && !goesOn.test(String.fromCodePoint(lower.codePointAt(at + name.length) ?? 32))) return true;
  }
  return false;
}
