const BEGIN = /(?<![A-Za-z0-9_])https?:\/\/|(?<![A-Za-z0-9_.@/-])www\.|(?<![A-Za-z0-9._%+@-])[A-Za-z0-9._%+-]+@(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,}(?![A-Za-z0-9@-])/gi;
const STOP = /[\s<>"«»“”„‹›\u3000-\u3004\u3008-\u3020\u3030\u303d-\u303f\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65]/;
const TAIL = /[.,;:!?'’…]/;
const CLOSES = { ')': '(', ']': '[', '}': '{' };
export function links(text) {
const found = [];
let past = 0;
for (const match of text.matchAll(BEGIN)) {
const begin = match.index;
if (begin < past) continue;
const isMail = match[0].includes('@');
const end = isMail ? begin + match[0].length : endOf(text, begin);
const shown = text.slice(begin, end);
const isBare = /^www\./i.test(shown);
const href = isMail ? `mailto:${shown}` : isBare ? `https://${shown}` : shown;
if (!isMail && (end <= begin + match[0].length || !URL.canParse(href))) continue;
if (isBare && !/^www\.[^./]+\.[^./]/i.test(shown)) continue;
found.push({ begin, end, href });
past = end;
}
return found;
}
function endOf(text, begin) {
const open = [];
let end = begin;
for (; end < text.length && !STOP.test(text[end]); end += 1) {
const char = text[end];
if ('([{'.includes(char)) open.push(char);
else if (char in CLOSES && open.pop() !== CLOSES[char]) break;
}
while (TAIL.test(text[end - 1]) || '([{'.includes(text[end - 1])) end -= 1;
return end;
}
export function cut(text, lines, characters) {
let end = text.length;
for (let at = -1, line = 0; (at = text.indexOf('\n', at + 1)) >= 0;) if ((line += 1) === lines) { end = at; break; }
end = Math.min(end, characters);
if (end >= text.length) return null;
const { index } = new Intl.Segmenter(undefined, { granularity: 'grapheme' }).segment(text).containing(end);
return index > 0 ? index : end;
}
