import en from './en.js';
const all = { en };
const wanted = navigator.languages?.find((tag) => all[tag.split('-')[0]]) ?? 'en';
const texts = all[wanted.split('-')[0]];
const plural = new Intl.PluralRules(texts.lang);
export function t(key, gaps = {}) {
const found = texts[key] ?? en[key] ?? key;
const text = typeof found === 'string' ? found : found[plural.select(Number(gaps.n))] ?? found.other;
return text.replace(/\{([\w-]+)\}/g, (whole, name) => apart(String(gaps[name] ?? whole)));
}
const apart = (gap) => (/[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]|[\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u.test(gap) ? `\u2068${gap}\u2069` : gap);
export const has = (key) => key in texts || key in en;
export function fill(root) {
for (const element of root.querySelectorAll('[data-text]')) element.textContent = t(element.dataset.text);
for (const element of root.querySelectorAll('[data-title]')) {
element.title = t(element.dataset.title);
element.setAttribute('aria-label', t(element.dataset.title));
}
for (const element of root.querySelectorAll('[data-label]')) element.setAttribute('aria-label', t(element.dataset.label));
}
export function apply() {
document.documentElement.lang = texts.lang;
document.documentElement.dir = texts.dir;
document.title = t('app.title');
fill(document);
}
export const language = texts.lang;
