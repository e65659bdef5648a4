export const composes = (event) => event.isComposing || event.keyCode === 229;
export const begunMention = (before) => /(?<![A-Za-z0-9_.+-])@([^\s@]*)$/.exec(before)?.[1] ?? null;
const folded = (text) => text.normalize('NFC').toLowerCase();
export function mentions(text, nick, names = []) {
if (!text || !nick) return false;
const [lower, name] = [folded(text), folded(nick)];
if (!lower.includes(name)) return false;
const longer = [...new Set([...names].map(folded))].filter((other) => other.length > name.length && other.startsWith(name));
const letter = /[\p{L}\p{N}\p{M}_]/u;
const goesOn = /[\p{L}\p{N}\p{M}_@]/u;
const before = (at) => String.fromCodePoint(lower.codePointAt(at - (/[\udc00-\udfff]/.test(lower[at - 1] ?? '') ? 2 : 1)) ?? 32);
for (let at = lower.indexOf(name); at >= 0; at = lower.indexOf(name, at + 1)) {
if (lower[at - 1] === '@') {
if (begunMention(lower.slice(0, at)) === '' && !longer.some((other) => lower.startsWith(other, at))) return true;
} else if (!letter.test(at ? before(at) : ' ') && !goesOn.test(String.fromCodePoint(lower.codePointAt(at + name.length) ?? 32))) return true;
}
return false;
}
