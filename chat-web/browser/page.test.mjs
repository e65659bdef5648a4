// The page itself: what it asks for, what it says while nobody looks at it, how it looks, and whether everybody can use it.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { faultless, heard, message, open, person, say, shot, things } from './harness.mjs';

const { server, window_, term } = things();
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** What an examination of the page finds: each rule that is broken, and where. */
async function barriers(page) {
  await page.evaluate(axe);
  const { violations, passes } = await page.evaluate(() => globalThis.axe.run({ resultTypes: ['violations'] }));
  assert.ok(passes.length > 10);
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target.join(' ')).join(', ')}`);
}

/** As if another tab were in front, or this one again. */
const look = (page, away) => page.evaluate((hidden) => {
  Object.defineProperty(document, 'hidden', { configurable: true, get: () => hidden });
  Object.defineProperty(document, 'visibilityState', { configurable: true, get: () => (hidden ? 'hidden' : 'visible') });
  document.dispatchEvent(new Event('visibilitychange'));
}, away);

test('what the page asks for: each file once, all compressed, nothing from elsewhere', async () => {
  const { url } = await server();
  const context = await window_();
  const answers = [];
  // The sign is in the page and on its tab; the browser takes the second from its cache, and tells of it or does not.
  context.on('response', (response) => {
    if (!response.url().endsWith('icon.svg') || !answers.some((each) => each.url() === response.url())) answers.push(response);
  });
  const page = await person(context, url, 'Adina');
  await page.locator('#text:focus').waitFor();
  await say(page, 'all is here');
  await heard(page, 'all is here');
  let bytes = 0;
  for (const response of answers) {
    assert.equal(new URL(response.url()).origin, new URL(url).origin, response.url());
    assert.ok(response.ok(), response.url());
    assert.equal(await response.headerValue('content-encoding'), 'br', response.url());
    bytes += Number(await response.headerValue('content-length'));
  }
  const asked = answers.map((response) => response.url());
  assert.deepEqual([...new Set(asked)], asked, 'a file was asked for twice');
  const manifest = JSON.parse(readFileSync(new URL('../dist/manifest.json', import.meta.url)));
  const files = Object.entries(manifest.files).filter(([name]) => !['known.html', 'elsewhere.html', 'worker.js'].includes(name));
  assert.equal(asked.length, files.length);
  assert.equal(bytes, files.reduce((sum, [, { br }]) => sum + br, 0));
  faultless(context);
});

test('notifications while nobody looks, and none while somebody does', async () => {
  const { url, address } = await server();
  const context = await window_();
  await context.grantPermissions(['notifications'], { origin: new URL(url).origin });
  await context.addInitScript(() => {
    globalThis.told = [];
    globalThis.Notification = class extends globalThis.Notification {
      constructor(title, options) {
        super(title, options);
        globalThis.told.push({ title, body: options.body, click: () => this.onclick() });
      }
    };
  });
  const page = await person(context, url, 'Adina');
  const told = () => page.evaluate(() => globalThis.told.map(({ title, body }) => `${title}: ${body}`));
  const berl = await term(address, 'Berl');
  await look(page, true);
  berl.say('before it was switched on');
  await heard(page, 'before it was switched on');
  await look(page, false);
  await page.getByRole('button', { name: 'Settings' }).click();
  await page.getByRole('checkbox').check();
  await page.keyboard.press('Escape');
  assert.equal(await page.evaluate(() => Notification.permission), 'granted');
  berl.say('while she looks');
  await heard(page, 'while she looks');
  assert.deepEqual(await told(), []);
  await look(page, true);
  berl.say('<b>while</b> she does not');
  await heard(page, '<b>while</b> she does not');
  berl.say('/msg Adina and between us');
  await page.locator('#room-list .entry', { hasText: 'Berl' }).locator('.badge').waitFor();
  assert.deepEqual(await told(), ['Berl in Lobby: <b>while</b> she does not', 'Berl: and between us']);
  assert.match(await page.title(), /^\(2\) /);
  // What one writes oneself is no news.
  await say(page, 'from here');
  await heard(page, 'from here');
  assert.equal((await told()).length, 2);
  // A touch leads to the room; back at the page, what is shown is read, and nothing else.
  await page.evaluate(() => globalThis.told[1].click());
  await page.locator('#room-name', { hasText: 'Berl' }).waitFor();
  await look(page, false);
  await page.locator('#room-list .entry', { hasText: 'Berl' }).locator('.badge').waitFor({ state: 'detached' });
  await page.locator('#room-list .entry', { hasText: 'Lobby' }).locator('.badge').click();
  await page.locator('.badge').waitFor({ state: 'detached' });
  assert.equal(await page.title(), 'Lobby – Chat');
  faultless(context);
});

test('what is unread is counted for each room, over reloading too, and a name is more than a message', async () => {
  const { url, address } = await server();
  const context = await window_();
  const page = await person(context, url, 'Adina');
  await say(page, '/create Chess');
  await page.getByRole('dialog').getByRole('button', { name: 'Create' }).click();
  await page.locator('#room-name', { hasText: 'Chess' }).waitFor();
  const berl = await term(address, 'Berl', ['--room', '0']);
  await page.locator('#room-list .entry', { hasText: 'Lobby' }).click();
  const badge = page.locator('#room-list .entry', { hasText: 'Chess' }).locator('.badge');
  berl.say('one');
  await badge.filter({ hasText: /^1$/ }).waitFor();
  berl.say('two');
  await badge.filter({ hasText: /^2$/ }).waitFor();
  assert.equal(await badge.evaluate((element) => element.classList.contains('mentioned')), false);
  berl.say('adina, your move');
  await badge.filter({ hasText: /^3$/ }).waitFor();
  assert.equal(await badge.evaluate((element) => element.classList.contains('mentioned')), true);
  assert.equal(await badge.getAttribute('aria-label'), '3 unread messages');
  await page.reload();
  await badge.filter({ hasText: /^3$/ }).waitFor();
  await page.locator('#room-list .entry', { hasText: 'Chess' }).click();
  await badge.waitFor({ state: 'detached' });
  await heard(page, 'adina, your move');
  faultless(context);
});

test('a name without a space behind it is meant all the same, and a longer one is somebody else', async () => {
  const { url, address } = await server();
  const context = await window_();
  const page = await person(context, url, '太郎');
  await say(page, '/create Chess');
  await page.getByRole('dialog').getByRole('button', { name: 'Create' }).click();
  await page.locator('#room-name', { hasText: 'Chess' }).waitFor();
  const berl = await term(address, 'Berl', ['--room', '0']);
  await term(address, '太郎丸', ['--room', '0']);
  await page.locator('#member-list .person', { hasText: '太郎丸' }).waitFor();
  // Whom it may mean is suggested, also in the middle of a sentence without spaces.
  await page.locator('#text').pressSequentially('ねえ@太');
  await page.getByRole('option', { name: '太郎丸' }).waitFor();
  await page.locator('#text').fill('');
  await page.locator('#room-list .entry', { hasText: 'Lobby' }).click();
  const badge = page.locator('#room-list .entry', { hasText: 'Chess' }).locator('.badge');
  const isMention = () => badge.evaluate((element) => element.classList.contains('mentioned'));
  berl.say('@太郎丸さん、見て');
  await badge.filter({ hasText: /^1$/ }).waitFor();
  assert.equal(await isMention(), false);
  berl.say('@太郎さん、見て');
  await badge.filter({ hasText: /^2$/ }).waitFor();
  assert.equal(await isMention(), true);
  faultless(context);
});

test('days are set apart, and each is named', async () => {
  const { url } = await server();
  const context = await window_();
  // Three days later, for the page.
  const now = Date.now();
  await context.clock.install({ time: now });
  const page = await person(context, url, 'Adina');
  await say(page, 'long ago');
  await heard(page, 'long ago');
  assert.deepEqual(await page.locator('.day').allTextContents(), ['Today']);
  const day = 86_400_000;
  await context.clock.setSystemTime(now + day);
  await page.reload();
  await heard(page, 'long ago');
  assert.deepEqual(await page.locator('.day').allTextContents(), ['Yesterday']);
  await context.clock.setSystemTime(now + 3 * day);
  await page.reload();
  await heard(page, 'long ago');
  const named = new Intl.DateTimeFormat('en', { weekday: 'long' }).format(now);
  assert.equal(await page.locator('.day').count(), 1);
  assert.ok((await page.locator('.day').textContent()).startsWith(named));
  faultless(context);
});

test('midnight comes while one looks, and so does another zone', async () => {
  const { url, address } = await server();
  const context = await window_();
  const cdp = await context.newCDPSession(context.pages()[0]);
  // Johannesburg is two hours ahead of UTC in winter and summer.
  const timeZone = 'Africa/Johannesburg';
  await cdp.send('Emulation.setTimezoneOverride', { timezoneId: timeZone });
  // A minute before the end of tomorrow, as days go there: today there ends at 22:00 UTC.
  const evening = new Date(Date.now() + 86_400_000 + 2 * 3_600_000).setUTCHours(21, 59, 0, 0);
  await context.clock.install({ time: evening });
  const page = await person(context, url, 'Adina');
  await say(page, 'said a day ago');
  await heard(page, 'said a day ago');
  assert.deepEqual(await page.locator('.day').allTextContents(), ['Yesterday']);
  const shown = await message(page, 'said a day ago').locator('time').getAttribute('datetime');
  assert.match(shown, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+02:00$/);
  assert.equal(await page.locator('.day time').getAttribute('datetime'), shown.slice(0, 10));
  // Who comes and goes does so at a time, and on a day.
  const berl = await term(address, 'Berl');
  await page.locator('.event', { hasText: 'Berl joined' }).waitFor();
  berl.say('/nick Rob');
  const renamed = page.locator('.event', { hasText: 'Berl is now Rob' });
  await renamed.waitFor();
  assert.match(await renamed.locator('time').getAttribute('datetime'), /T23:59:\d\d\+02:00$/);
  assert.deepEqual(await page.locator('.day').allTextContents(), ['Yesterday', 'Today']);
  await page.clock.fastForward(120_000);
  const named = new Intl.DateTimeFormat('en', { weekday: 'long', timeZone }).format(Date.now());
  await page.locator('.day', { hasText: named }).waitFor();
  assert.deepEqual((await page.locator('.day').allTextContents()).slice(1), ['Yesterday']);
  // The page alone has stayed where it was; the reader goes far away.
  await cdp.send('Emulation.setTimezoneOverride', { timezoneId: 'Asia/Kathmandu' });
  await page.evaluate(() => document.dispatchEvent(new Event('visibilitychange')));
  await page.waitForFunction(() => document.querySelector('.message time').dateTime.endsWith('+05:45'));
  assert.equal(new Date(await message(page, 'said a day ago').locator('time').getAttribute('datetime')).getTime(), new Date(shown).getTime());
  faultless(context);
});

test('light and dark, as the system has it and as one likes it', async () => {
  const { url } = await server();
  const context = await window_({ colorScheme: 'light' });
  const page = await person(context, url, 'Adina');
  const paper = () => page.evaluate(() => {
    const [r, g, b] = getComputedStyle(document.documentElement).backgroundColor.match(/\d+/g).map(Number);
    return r + g + b > 384 ? 'light' : 'dark';
  });
  assert.equal(await paper(), 'light');
  await page.emulateMedia({ colorScheme: 'dark' });
  assert.equal(await paper(), 'dark');
  await page.getByRole('button', { name: 'Settings' }).click();
  await page.locator('dialog select').selectOption('light');
  assert.equal(await paper(), 'light');
  await page.reload();
  await page.locator('#text:focus').waitFor();
  assert.equal(await paper(), 'light');
  faultless(context);
});

for (const colorScheme of ['light', 'dark']) {
  test(`no barriers that can be found by examination: ${colorScheme}`, async () => {
    const { url, address } = await server();
    const context = await window_({ colorScheme, reducedMotion: 'reduce' });
    const page = await open(context, url);
    await page.locator('#nick:focus').waitFor();
    assert.deepEqual(await barriers(page), []);
    await page.locator('#nick').fill('two words');
    assert.deepEqual(await barriers(page), []);
    await page.locator('#nick').fill('Adina');
    await page.getByRole('button', { name: 'Continue' }).click();
    const berl = await term(address, 'Berl');
    berl.say('look at https://example.org/');
    await heard(page, 'look at');
    await say(page, '/create Rome');
    assert.deepEqual(await barriers(page), []);
    await page.getByText('Caesar cipher').click();
    await page.getByRole('dialog').getByRole('button', { name: 'Create' }).click();
    await page.locator('dialog').waitFor({ state: 'detached' });
    await page.getByText('Insecure: this room uses').waitFor();
    await say(page, 'ave');
    await heard(page, 'ave');
    await say(page, '/help');
    await page.locator('.help').waitFor();
    assert.deepEqual(await barriers(page), []);
    await say(page, '/switch lobby');
    await message(page, 'look at').waitFor();
    await say(page, '/msg Berl hello');
    await heard(page, 'hello');
    await page.locator('#text').pressSequentially('/m');
    await page.getByRole('option').first().waitFor();
    assert.deepEqual(await barriers(page), []);
    await page.locator('#text').fill('');
    for (const button of ['[data-do=settings]', '[data-do=join]', '#me']) {
      await page.locator(button).click();
      await page.locator('dialog').waitFor();
      assert.deepEqual(await barriers(page), []);
      await page.keyboard.press('Escape');
      await page.locator('dialog').waitFor({ state: 'detached' });
    }
    await shot(page, `barriers-${colorScheme}`);
    faultless(context);
  });
}
