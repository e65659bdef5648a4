// Links in what people write: where they begin and end, and where they lead.

/** What may begin a link: a scheme in any case, `www.`, or a mail address. Letters before it that are not Latin are no part of it. */
const BEGIN = /(?<![A-Za-z0-9_])https?:\/\/|(?<![A-Za-z0-9_.@/-])www\.|(?<![A-Za-z0-9._%+@-])[A-Za-z0-9._%+-]+@(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,}(?![A-Za-z0-9@-])/gi;
/** What no link contains: white space, quotes, and the punctuation of Chinese, Japanese and Korean. */
const STOP = /[\s<>"«»“”„‹›\u3000-\u3004\u3008-\u3020\u3030\u303d-\u303f\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65]/;
/** What ends a sentence and not a link. */
const TAIL = /[.,;:!?'’…]/;
const CLOSES = { ')': '(', ']': '[', '}': '{' };

/**
 * The links of a text, in order.
 * @param {string} text
 * @returns {{ begin: number, end: number, href: string }[]}
 */
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

/** Where a link ends: before a bracket that was opened before it, and without what ends a sentence. */
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

/**
 * Where a text is cut that is too long: within so many lines and characters, and between characters as people see them. None: it is not.
 * @param {string} text @param {number} lines @param {number} characters
 * @returns {number | null}
 */
export function cut(text, lines, characters) {
  let end = text.length;
  for (let at = -1, line = 0; (at = text.indexOf('\n', at + 1)) >= 0;) if ((line += 1) === lines) { end = at; break; }
  end = Math.min(end, characters);
  if (end >= text.length) return null;
  const { index } = new Intl.Segmenter(undefined, { granularity: 'grapheme' }).segment(text).containing(end);
  // One character of thousands of marks is cut where it has to be.
  return index > 0 ? index : end;
}
