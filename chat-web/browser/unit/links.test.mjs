import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cut, links } from '../../page/js/links.js';

/** What is shown as links, and where they lead if that is something else. */
const found = (text) => links(text).map(({ begin, end, href }) => (text.slice(begin, end) === href ? href : [text.slice(begin, end), href]));

test('a link ends where its sentence, its brackets or its quotes do', () => {
  for (const [text, ...all] of [
    ['see https://example.org/a, or https://example.org/b.', 'https://example.org/a', 'https://example.org/b'],
    ['https://en.wikipedia.org/wiki/Rust_(programming_language)', 'https://en.wikipedia.org/wiki/Rust_(programming_language)'],
    ['(https://en.wikipedia.org/wiki/Rust_(game))', 'https://en.wikipedia.org/wiki/Rust_(game)'],
    ['(see https://example.org/x), and', 'https://example.org/x'],
    ['[here](https://example.org/x)more', 'https://example.org/x'],
    ['“https://example.org/x”', 'https://example.org/x'],
    ['is it https://example.org/?q=a?!', 'https://example.org/?q=a'],
    ['http://[::1]:7037/x', 'http://[::1]:7037/x'],
    ['https://example.org/(', 'https://example.org/'],
  ]) assert.deepEqual(found(text), all, text);
});

test('Chinese, Japanese and Korean punctuation ends a link, and letters do not keep one from beginning', () => {
  for (const [text, ...all] of [
    ['详见https://example.org/a，谢谢。', 'https://example.org/a'],
    ['こちらhttps://example.org/a。', 'https://example.org/a'],
    ['（https://example.org/a）', 'https://example.org/a'],
    ['「https://example.org/a」を', 'https://example.org/a'],
    ['https://ja.wikipedia.org/wiki/佐々木・太郎 など', 'https://ja.wikipedia.org/wiki/佐々木・太郎'],
  ]) assert.deepEqual(found(text), all, text);
});

test('any case of the scheme, no scheme, and mail addresses', () => {
  assert.deepEqual(found('Https://Example.org/A HTTP://example.org'), ['Https://Example.org/A', 'HTTP://example.org']);
  assert.deepEqual(found('at www.example.org/a, or WWW.example.org'), [['www.example.org/a', 'https://www.example.org/a'], ['WWW.example.org', 'https://WWW.example.org']]);
  assert.deepEqual(found('to maya.l+chat@mail.example.org.'), [['maya.l+chat@mail.example.org', 'mailto:maya.l+chat@mail.example.org']]);
  assert.deepEqual(found('メールはmaya@example.jpまで'), [['maya@example.jp', 'mailto:maya@example.jp']]);
});

test('what is no link', () => {
  for (const text of ['https://', 'www.', 'www.example', 'awww.example.org', 'xhttps://example.org', '@maya', 'maya@home', 'javascript:alert(1)', 'data:text/html,x', 'http://[::1', 'ftp://example.org', '@太郎さん', 'a@b@c.org']) {
    assert.deepEqual(found(text), [], text);
  }
});

test('links take time in proportion to the text', () => {
  for (const hostile of ['https://'.repeat(2_000), `${'a.'.repeat(8_000)}@`, `x@${'a.'.repeat(8_000)}`, 'www.'.repeat(4_000), `https://a/${'('.repeat(16_000)}`, `https://a/${'.'.repeat(16_000)}`]) {
    assert.ok(links(hostile).length <= 2_000);
  }
});

test('a long text is cut between lines, and between characters as they are seen', () => {
  assert.equal(cut('short', 18, 1_500), null);
  assert.equal(cut('a\nb\nc', 3, 10), null);
  assert.equal(cut('a\nb\nc', 2, 10), 3);
  assert.equal(cut('x'.repeat(20), 2, 10), 10);
  const family = '👩‍👩‍👧';
  assert.equal(cut(`123456${family}89`, 2, 10), 6);
  assert.equal(cut(`z${'\u0301'.repeat(50)}`, 2, 10), 10);
});
