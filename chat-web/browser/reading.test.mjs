// Reading and getting about: long rooms, links, keys, fingers, and what goes wrong on the way.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { faultless, heard, message, open, person, say, shot, things } from './harness.mjs';

const { server, window_, term, config } = things();
const isIn = (page, name) => page.locator('#room-name', { hasText: name }).waitFor();
const fast = '[limits.send_rate]\nburst = 100000\nper_second = 100000\n[limits.written_per_member]\nburst = 1000000000\nper_second = 1000000000\n';
const shownLines = (page) => page.locator('.message .text').evaluateAll((all) => all.map((each) => Number(/line (\d+)/.exec(each.textContent)[1])));

test('a long room does not grow for ever, and nothing of it is lost', async () => {
  const { url, address } = await server(config(fast));
  const context = await window_();
  const page = await person(context, url, 'Adina');
  const berl = await term(address, 'Berl');
  for (let n = 0; n < 2_000; n += 1) berl.say(`line ${n}.`);
  await heard(page, 'line 1999.');
  await page.waitForFunction(() => document.getElementById('log').children.length <= 700);
  const shown = await shownLines(page);
  assert.deepEqual(shown, [...Array(shown.length).keys()].map((n) => 2_000 - shown.length + n));
  assert.ok(shown.length >= 300);
  // Further up they come again, in order and without a hole.
  await page.waitForFunction((least) => {
    document.getElementById('log-scroll').scrollTop = 0;
    return document.querySelectorAll('.message').length >= least;
  }, shown.length + 150);
  const more = await shownLines(page);
  assert.deepEqual(more, [...Array(more.length).keys()].map((n) => 2_000 - more.length + n));
  // Who reads further up is not moved, and goes on from there to the end.
  const first = await page.locator('.message').first().textContent();
  berl.say('line 2000.');
  await page.getByRole('button', { name: 'Go to the newest message' }).filter({ hasText: '1 new message' }).click();
  await heard(page, 'line 2000.');
  berl.say('line 2001.');
  await page.waitForFunction((text) => document.querySelector('.message').textContent !== text, first);
  faultless(context);
});

test('messages by keyboard: up and down, page by page, and taking one back', async () => {
  const { url, address } = await server(config(fast));
  const context = await window_();
  const berl = await term(address, 'Berl');
  for (let n = 0; n < 40; n += 1) berl.say(`line ${n}.`);
  await berl.until('line 39.');
  const page = await person(context, url, 'Adina');
  await heard(page, 'line 39.');
  const top = () => page.locator('#log-scroll').evaluate((element) => element.scrollTop);
  // From the line one writes on, a page up and down.
  await page.locator('#text').focus();
  const end = await top();
  await page.keyboard.press('PageUp');
  await page.waitForFunction((before) => document.getElementById('log-scroll').scrollTop < before, end);
  await page.keyboard.press('PageDown');
  await page.waitForFunction((before) => document.getElementById('log-scroll').scrollTop >= before - 1, end);
  await say(page, 'a slip');
  await heard(page, 'a slip');
  await say(page, 'no slip');
  await heard(page, 'no slip');
  // One Tab back is the log; from message to message by the arrows.
  await page.keyboard.press('Shift+Tab');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'log-scroll');
  await page.keyboard.press('ArrowUp');
  await page.keyboard.press('ArrowUp');
  await page.locator('.message:focus', { hasText: 'a slip' }).waitFor();
  await page.keyboard.press('Tab');
  await page.locator('.redact:focus').waitFor();
  await shot(page, 'keyboard');
  await page.keyboard.press('Enter');
  await page.getByRole('dialog').getByRole('button', { name: 'Take back', exact: true }).press('Enter');
  await message(page, 'This message was taken back.').waitFor();
  await page.locator('dialog').waitFor({ state: 'detached' });
  assert.equal(await page.getByText('no slip').count(), 1);
  faultless(context);
});

test('by touch: a message is touched, and can be taken back; the way back closes what lies above the page', async () => {
  const { url } = await server();
  const context = await window_({ viewport: { width: 375, height: 667 }, hasTouch: true, isMobile: true });
  const page = await person(context, url, 'Adina');
  await say(page, 'a slip');
  await heard(page, 'a slip');
  assert.equal(await page.locator('.redact:visible').count(), 0);
  await message(page, 'a slip').locator('.text').tap();
  await page.locator('.redact:visible').waitFor();
  await shot(page, 'touched');
  const { width, height } = await page.locator('.redact:visible').boundingBox();
  assert.ok(width >= 40 && height >= 40);
  await page.locator('.redact:visible').tap();
  await page.getByRole('dialog').getByRole('button', { name: 'Take back', exact: true }).tap();
  await message(page, 'This message was taken back.').waitFor();
  await page.locator('dialog').waitFor({ state: 'detached' });
  for (const [button, panel] of [['Show rooms', 'rooms'], ['Show people', 'members']]) {
    await page.getByRole('button', { name: button }).tap();
    await page.locator(`#chat[data-panel=${panel}]`).waitFor();
    await page.goBack();
    await page.locator('#chat:not([data-panel])').waitFor();
    assert.equal(page.url(), url);
  }
  // What was closed otherwise is not in the way.
  await page.getByRole('button', { name: 'Show rooms' }).tap();
  await page.locator('#room-list .entry').tap();
  await page.locator('#chat:not([data-panel])').waitFor();
  await page.waitForFunction(() => !history.state?.panel);
  faultless(context);
});

test('who is looked at among the people stays looked at while others come and go', async () => {
  const { url, address } = await server();
  const context = await window_();
  const berl = await term(address, 'Berl');
  const page = await person(context, url, 'Adina');
  const entry = page.locator('#member-list .person', { hasText: 'Berl' });
  await entry.focus();
  const cora = await term(address, 'Cora');
  await page.locator('#member-list .person', { hasText: 'Cora' }).waitFor();
  assert.equal(await entry.evaluate((element) => element === document.activeElement), true);
  assert.equal(await cora.end(), 0);
  await page.locator('#member-list .person', { hasText: 'Cora' }).waitFor({ state: 'detached' });
  assert.equal(await entry.evaluate((element) => element === document.activeElement), true);
  // Who is gone leaves the place to the list.
  assert.equal(await berl.end(), 0);
  await entry.waitFor({ state: 'detached' });
  assert.equal(await page.evaluate(() => document.activeElement.id), 'member-list');
  faultless(context);
});

test('a link is followed once, and as often as it is opened; one in a message leads there in place', async () => {
  const { url, address } = await server();
  const owner = await term(address, 'Olga', ['--create', '--name', 'Club']);
  await owner.until('room 0 created');
  const berl = await term(address, 'Berl');
  const context = await window_();
  const page = await person(context, `${url}#/room/0`, 'Adina');
  await isIn(page, 'Club');
  assert.equal(page.url(), url);
  await say(page, '/leave');
  await isIn(page, 'Lobby');
  await page.reload();
  await isIn(page, 'Lobby');
  await page.locator('#text:focus').waitFor();
  assert.equal(await page.locator('#room-list .entry', { hasText: 'Club' }).count(), 0);
  for (let time = 0; time < 2; time += 1) {
    berl.say(`come to ${url}#/room/0, time ${time}`);
    const link = message(page, `time ${time}`).locator('.text a');
    assert.equal(await link.getAttribute('target'), null);
    await link.click();
    await isIn(page, 'Club');
    assert.equal(page.url(), url);
    await say(page, '/leave');
    await isIn(page, 'Lobby');
  }
  assert.equal(context.pages().length, 1);
  // Others open as they do.
  berl.say(`not ${url}#/elsewhere nor https://example.org/#/room/0`);
  await heard(page, 'not http');
  assert.deepEqual(await message(page, 'not http').locator('a').evaluateAll((all) => all.map((a) => a.target)), ['_blank', '_blank']);
  // A link to this very machine says so.
  await page.getByRole('button', { name: 'Share this room' }).click();
  await page.getByText('On this machine, and on no other').waitFor();
  faultless(context);
});

test('a password works where its worker does not', async () => {
  const { url } = await server();
  const context = await window_();
  const page = await open(context, url);
  await page.route('**/worker.js', (route) => route.fulfill({ status: 404, body: 'no' }));
  await page.locator('#nick').fill('Adina');
  await page.getByRole('button', { name: 'Continue' }).click();
  await isIn(page, 'Lobby');
  for (const name of ['Chess', 'Vault']) {
    await say(page, `/create ${name}`);
    const dialog = page.getByRole('dialog');
    await dialog.getByText('Only people with the password').click();
    await dialog.locator('input[type=password]').fill('correct horse');
    await dialog.getByRole('button', { name: 'Create' }).click();
    await isIn(page, name);
  }
  await say(page, 'a secret');
  await heard(page, 'a secret');
  assert.deepEqual(context.faults.filter((fault) => !fault.includes('404')), []);
});

test('far too much is not taken at all', async () => {
  const { url } = await server();
  const context = await window_();
  await context.grantPermissions(['clipboard-read', 'clipboard-write'], { origin: new URL(url).origin });
  const page = await person(context, url, 'Adina');
  await page.locator('#text').fill('before ');
  await page.evaluate(() => navigator.clipboard.writeText('x'.repeat(1_500_000)));
  await page.locator('#text').press('Control+v');
  await page.locator('.word', { hasText: 'This is too long for a message' }).waitFor();
  assert.equal(await page.locator('#text').inputValue(), 'before ');
  await page.evaluate(() => navigator.clipboard.writeText('what fits'));
  await page.locator('#text').press('Control+v');
  await page.locator('#text').press('Enter');
  await heard(page, 'before what fits');
  faultless(context);
});

test('times are written as the browser has them', async () => {
  const { url } = await server();
  for (const [locale, form] of [['en-US', /^\d\d:\d\d [AP]M$/], ['de-DE', /^\d\d:\d\d$/]]) {
    const context = await window_({ locale });
    const page = await person(context, url, `A-${locale}`);
    await say(page, `in ${locale}`);
    await heard(page, `in ${locale}`);
    const time = await message(page, `in ${locale}`).locator('time').textContent();
    assert.match(time.replace(/\s/g, ' '), form);
    faultless(context);
  }
});

test('where colours are the system\'s, who is here can be told from who is away', async () => {
  const { url, address } = await server();
  const context = await window_({ forcedColors: 'active' });
  const page = await person(context, url, 'Adina');
  await say(page, '/create Chess');
  await page.getByRole('dialog').getByRole('button', { name: 'Create' }).click();
  await isIn(page, 'Chess');
  const [berl, cora] = [await term(address, 'Berl', ['--room', '0']), await term(address, 'Cora', ['--room', '0'])];
  await cora.until('joined room 0');
  berl.say('/quit');
  await page.locator('#member-list .person', { hasText: 'Cora' }).waitFor();
  const look = (element) => { const { backgroundColor, boxShadow } = getComputedStyle(element); return backgroundColor + boxShadow; };
  const here = await page.locator('.presence.here').first().evaluate(look);
  const away = await page.evaluate(() => {
    const dot = document.createElement('span');
    dot.className = 'presence';
    document.querySelector('#member-list .person').append(dot);
    const { backgroundColor, boxShadow } = getComputedStyle(dot);
    dot.remove();
    return backgroundColor + boxShadow;
  });
  assert.notEqual(here, away);
  await shot(page, 'forced-colours');
  faultless(context);
});

test('Enter that chooses a character sends nothing', async () => {
  const { url } = await server();
  const context = await window_();
  const page = await person(context, url, 'Adina');
  await page.locator('#text').focus();
  const cdp = await context.newCDPSession(page);
  await cdp.send('Input.imeSetComposition', { text: 'にほん', selectionStart: 3, selectionEnd: 3 });
  const enter = (windowsVirtualKeyCode) => cdp.send('Input.dispatchKeyEvent', { type: 'rawKeyDown', key: 'Enter', code: 'Enter', windowsVirtualKeyCode });
  await enter(229);
  await cdp.send('Input.insertText', { text: '日本' });
  // Safari ends the composition before it tells of the key.
  await enter(229);
  assert.equal(await page.locator('#text').inputValue(), '日本');
  await page.locator('#text').press('Enter');
  await heard(page, '日本');
  assert.equal(await page.locator('.message').count(), 1);
  faultless(context);
});

test('links as people write them, also in a text that is folded', async () => {
  const { url, address } = await server();
  const context = await window_();
  const page = await person(context, url, 'Adina');
  const berl = await term(address, 'Berl');
  berl.say('(https://en.wikipedia.org/wiki/Rust_(game)), 详见Https://example.org/a。 www.example.org or maya@example.org');
  await heard(page, '详见');
  const leads = (text) => message(page, text).locator('a').evaluateAll((all) => all.map((a) => [a.textContent, a.getAttribute('href')]));
  assert.deepEqual(await leads('详见'), [
    ['https://en.wikipedia.org/wiki/Rust_(game)', 'https://en.wikipedia.org/wiki/Rust_(game)'],
    ['Https://example.org/a', 'Https://example.org/a'],
    ['www.example.org', 'https://www.example.org'],
    ['maya@example.org', 'mailto:maya@example.org'],
  ]);
  const long = `https://example.org/${'long/'.repeat(400)}end`;
  berl.say(`folded ${long}`);
  await heard(page, 'folded');
  const [[shown, href]] = await leads('folded');
  assert.equal(href, long);
  assert.ok(shown.length < 1_500 && long.startsWith(shown));
  await message(page, 'folded').getByRole('button', { name: 'Show all' }).click();
  assert.deepEqual(await leads('folded'), [[long, long]]);
  faultless(context);
});

test('a group of messages ends, each has its author for who does not see, and no letters are copied along', async () => {
  const { url, address } = await server();
  const context = await window_();
  const page = await person(context, url, 'Adina');
  const berl = await term(address, 'Berl');
  for (let n = 1; n <= 12; n += 1) berl.say(`line ${n}.`);
  await heard(page, 'line 12.');
  const heads = () => page.locator('.message:not(.together) .text').allTextContents();
  assert.deepEqual(await heads(), ['line 1.', 'line 11.']);
  // Drawn anew they are the same.
  await say(page, '/create Chess');
  await page.getByRole('dialog').getByRole('button', { name: 'Create' }).click();
  await isIn(page, 'Chess');
  await page.locator('#room-list .entry', { hasText: 'Lobby' }).click();
  await heard(page, 'line 12.');
  assert.deepEqual(await heads(), ['line 1.', 'line 11.']);
  const spoken = await page.locator('#log').ariaSnapshot();
  assert.equal(spoken.match(/Berl/g).length, 13, spoken);
  await shot(page, 'groups');
  const copied = await page.evaluate(() => {
    getSelection().selectAllChildren(document.getElementById('log'));
    return getSelection().toString();
  });
  assert.ok(copied.includes('line 1.') && copied.includes('line 12.'));
  assert.ok(!/^B$/m.test(copied) && !copied.includes('Berl:'), copied);
  faultless(context);
});

test('a text from right to left stands beside its author, and so does a name', async () => {
  const { url, address } = await server();
  const [one, two] = [await window_(), await window_({ viewport: { width: 390, height: 700 } })];
  const page = await person(one, url, 'Adina');
  const maya = await person(two, url, 'מאיה', 'קבוצה ב');
  await say(maya, 'שלום לכולם');
  await heard(page, 'שלום');
  /** From where the text of the first begins to where the second ends. */
  const apart = (text, beside) => page.evaluate(([one, two]) => {
    const range = document.createRange();
    range.selectNodeContents(document.querySelector(one));
    return range.getBoundingClientRect().left - document.querySelector(two).getBoundingClientRect().right;
  }, [text, beside]);
  // A sentence of the page runs as the page does, whoever it is about.
  const joined = await page.locator('.event span', { hasText: 'מאיה' }).first().evaluate((element) => {
    const at = (text) => {
      const range = document.createRange();
      const begin = element.textContent.indexOf(text);
      range.setStart(element.firstChild, begin);
      range.setEnd(element.firstChild, begin + text.length);
      return range.getBoundingClientRect().left;
    };
    return at('joined') - at('מאיה');
  });
  assert.ok(joined > 0);
  const row = '.message:not(.mine)';
  assert.ok(await apart(`${row} .text`, `${row} .avatar`) < 20);
  const entry = `#member-list .person:not(:disabled)`;
  assert.ok(await apart(`${entry} .title`, `${entry} .avatar`) < 20);
  assert.ok(await apart(`${entry} .label`, `${entry} .avatar`) < 20);
  await page.locator('#member-list .person', { hasText: 'מאיה' }).click();
  await page.getByRole('button', { name: 'Private message' }).click();
  await isIn(page, 'מאיה');
  assert.ok(await apart('#room-name', '#rooms') < 40);
  assert.ok(await apart('#room-list .entry[aria-current] .title', '#room-list .entry[aria-current] .avatar') < 20);
  await shot(page, 'right-to-left-beside');
  await shot(maya, 'right-to-left-phone');
  faultless(one, two);
});

test('who wants larger letters gets all of the page larger, and loses nothing of it', async () => {
  const { url } = await server();
  const usual = await window_();
  const large = await window_({ preferences: { webkit: { webprefs: { default_font_size: 32 } } } });
  const [page, other] = [await person(usual, url, 'Adina'), await person(large, url, 'Berl')];
  await say(page, 'good morning');
  await heard(other, 'good morning');
  const size = (each, what) => each.locator(what).first().evaluate((element) => parseFloat(getComputedStyle(element).fontSize));
  for (const what of ['.message .text', '#room-name', '#text', '.message time', '#me .nick']) {
    assert.equal(await size(other, what), 2 * await size(page, what), what);
  }
  assert.ok(await other.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
  // Where there is no room beside each other, the panels come from the sides.
  await other.getByRole('button', { name: 'Show people' }).click();
  await other.locator('#member-list .person', { hasText: 'Adina' }).waitFor();
  await other.evaluate(() => Promise.all(document.getAnimations().map((each) => each.finished)));
  await shot(other, 'large-letters');
  faultless(usual, large);
});
