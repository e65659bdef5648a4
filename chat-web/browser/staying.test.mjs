// What a page must not do: lose a message, lose what was typed, or leave anybody standing.

import assert from 'node:assert/strict';
import { networkInterfaces } from 'node:os';
import { test } from 'node:test';
import { Program, faultfinder, faultless, heard, message, open, person, say, serve, shot, things } from './harness.mjs';

const { ends, server, window_, term, net, config, folder } = things();
const isIn = (page, name) => page.locator('#room-name', { hasText: name }).waitFor();
const draft = (page) => page.locator('#text').inputValue();
const tabKeeps = (page) => page.evaluate(() => JSON.stringify([{ ...sessionStorage }, history.state]));

/** As if another tab were in front. */
const away = (page) => page.evaluate(() => {
  Object.defineProperty(document, 'hidden', { configurable: true, get: () => true });
  document.dispatchEvent(new Event('visibilitychange'));
});

test('a message is there to be read whatever becomes of telling of it', async () => {
  const { url, address } = await server();
  const context = await window_();
  await context.grantPermissions(['notifications'], { origin: new URL(url).origin });
  await context.addInitScript(() => {
    // Chromium on Android.
    globalThis.Notification = class {
      static permission = 'granted';
      constructor() { throw new TypeError("Failed to construct 'Notification': Illegal constructor."); }
    };
    globalThis.told = [];
    const worker = { showNotification: async (title, { body }) => { globalThis.told.push(`${title}: ${body}`); } };
    navigator.serviceWorker.getRegistration = async () => (globalThis.hasWorker ? worker : undefined);
    localStorage.setItem('chat.settings', JSON.stringify({ notify: true }));
  });
  const page = await person(context, url, 'Adina');
  await isIn(page, 'Lobby');
  const berl = await term(address, 'Berl');
  await away(page);
  berl.say('Adina, one');
  await heard(page, 'Adina, one');
  await page.evaluate(() => { globalThis.hasWorker = true; });
  berl.say('Adina, two');
  await heard(page, 'Adina, two');
  await page.waitForFunction(() => globalThis.told.length === 1);
  assert.deepEqual(await page.evaluate(() => globalThis.told), ['Berl in Lobby: Adina, two']);
  faultless(context);
  // Anything else that watches may fail, too.
  await page.evaluate(() => Object.defineProperty(document, 'title', { set() { throw new Error('no title'); } }));
  berl.say('Adina, three');
  await heard(page, 'Adina, three');
  berl.say('Adina, four');
  await heard(page, 'Adina, four');
  assert.deepEqual(await page.locator('.message .text').allTextContents(), ['one', 'two', 'three', 'four'].map((n) => `Adina, ${n}`));
});

/** Ways in which a browser keeps nothing. */
const forgetful = {
  'storage is blocked': { window: { preferences: { profile: { default_content_setting_values: { cookies: 2 } } } } },
  'storage is full': {
    script: () => { Storage.prototype.setItem = () => { throw new DOMException('full', 'QuotaExceededError'); }; },
  },
};
for (const [what, { window, script }] of Object.entries(forgetful)) {
  test(`where ${what}, loading anew leads back in, and a closed tab leaves the name to the next`, async () => {
    const it = await server();
    const context = await window_(window);
    if (script) await context.addInitScript(script);
    const page = await person(context, it.url, 'Adina');
    if (window) assert.equal(await page.evaluate(() => { try { return String(localStorage); } catch (error) { return error.name; } }), 'SecurityError');
    await say(page, '/create Chess');
    await page.getByRole('dialog').getByRole('button', { name: 'Create' }).click();
    await isIn(page, 'Chess');
    await say(page, 'on the board');
    await heard(page, 'on the board');
    await page.locator('#text').fill('half a thought');
    page.on('dialog', (dialog) => dialog.accept());
    await page.reload();
    await isIn(page, 'Chess');
    await heard(page, 'on the board');
    assert.equal(await draft(page), 'half a thought');
    // Still the owner of it.
    await page.locator('#member-list .role.owner').waitFor();
    const tab = await context.newPage();
    await page.close({ runBeforeUnload: true });
    await it.until('log-out: Adina', 2);
    await tab.goto(it.url);
    await tab.locator('#nick').fill('Adina');
    await tab.getByRole('button', { name: 'Continue' }).click();
    await isIn(tab, 'Lobby');
    // Signing out forgets here, too.
    await say(tab, '/quit');
    await tab.locator('#nick:focus').waitFor();
    await tab.reload();
    await tab.locator('#nick:focus').waitFor();
    faultless(context);
  });
}

test('a name that was taken meanwhile: another one is asked for, and what was written is said under it', async () => {
  const it = await server(config('[limits]\ngrace = 1\n'));
  const link = await net(it.address);
  const context = await window_();
  const berl = await term(it.address, 'Berl');
  const page = await person(context, link.url, 'Adina', 'group 2');
  await isIn(page, 'Lobby');
  link.gone = true;
  link.cut();
  await page.locator('#notice', { hasText: 'connection is lost' }).waitFor();
  await say(page, 'written while away');
  await it.until('log-out: Adina');
  const other = await term(it.address, 'Adina');
  link.gone = false;
  const dialog = page.locator('dialog[data-name=other-name]');
  await dialog.getByText('somebody took the name Adina').waitFor();
  assert.equal(await dialog.locator('[name=nick]').inputValue(), 'Adina');
  assert.equal(await dialog.locator('[name=label]').inputValue(), 'group 2');
  await shot(page, 'name-taken');
  // It may be put off, and the notice leads back to it.
  await page.keyboard.press('Escape');
  await page.locator('#notice').getByRole('button', { name: 'Choose another name' }).click();
  for (const [name, why] of [['two words', 'A name has no spaces.'], ['Berl', 'Somebody else has this name']]) {
    await dialog.locator('[name=nick]').fill(name);
    await dialog.getByRole('button', { name: 'Continue' }).click();
    await dialog.getByRole('alert').filter({ hasText: why }).waitFor();
  }
  await dialog.locator('[name=nick]').fill('Ada');
  await dialog.getByRole('button', { name: 'Continue' }).click();
  await dialog.waitFor({ state: 'detached' });
  await page.locator('#me .nick', { hasText: 'Ada' }).waitFor();
  await berl.until('Ada (group 2): written while away');
  await heard(page, 'written while away');
  // It is the name from now on.
  await page.reload();
  await page.locator('#me .nick', { hasText: 'Ada' }).waitFor();
  other.say('/quit');
  faultless(context);
});

test('another server at the same address is not taken for the one that was there', async () => {
  const first = await server(['--data', folder()]);
  const page = await person(await window_(), first.url, 'Adina');
  await isIn(page, 'Lobby');
  await first.end('SIGKILL');
  const data = folder();
  await server(['--data', data], { listen: first.address });
  await page.locator('#notice', { hasText: 'another server is at that address' }).waitFor();
  // Nor is it when the page is loaded anew.
  await page.reload();
  const note = page.locator('#start-note', { hasText: 'another server is at that address' });
  await note.waitFor();
  await shot(page, 'another-server');
  // A link that names it leads there, and from then on the page knows it.
  const invited = new Program(['invite', '--data', data]);
  const link = (await invited.until('#k=')).match(/http\S+/)[0];
  for (const url of [link, first.url]) {
    await page.goto('about:blank');
    await page.goto(url);
    await isIn(page, 'Lobby');
    assert.equal(page.url(), first.url);
  }
  // One that names another does not.
  const wrong = await window_();
  const stranger = await open(wrong, `${first.url}#k=AAECAwQFBgcICQoLDA0ODw`);
  await stranger.locator('#nick').fill('Berl');
  await stranger.getByRole('button', { name: 'Continue' }).click();
  await stranger.locator('#start-note', { hasText: 'another server is at that address' }).waitFor();
});

test('whoever can be overheard is told', async (t) => {
  const own = Object.values(networkInterfaces()).flat().find((one) => one.family === 'IPv4' && !one.internal);
  if (!own) return t.skip('this machine is in no network');
  const it = await server(['--plaintext', 'any'], { listen: '0.0.0.0:0' });
  const port = it.address.split(':').at(-1);
  for (const [host, shown, nick] of [[own.address, true, 'Adina'], ['127.0.0.1', false, 'Berl'], ['localhost', false, 'Cora']]) {
    const context = await window_();
    const page = await open(context, `http://${host}:${port}/`);
    const told = page.locator('#start .plain');
    assert.equal(await told.isVisible(), shown, host);
    if (shown) await shot(page, 'overheard-start');
    await page.locator('#nick').fill(nick);
    await page.getByRole('button', { name: 'Continue' }).click();
    await isIn(page, 'Lobby');
    assert.equal(await page.locator('#rooms .plain').isVisible(), shown, host);
    if (shown) await shot(page, 'overheard');
    await context.close();
  }
});

test('who leaves the chat is out: nothing is kept of the tab, and loading it anew asks for a name', async () => {
  const it = await server();
  const link = await net(it.address);
  const context = await window_();
  const findsFault = await faultfinder(context);
  const page = await person(context, link.url, 'Adina');
  await isIn(page, 'Lobby');
  // What is on its way ends with the session, and is not kept for whoever comes next.
  link.mute = true;
  await say(page, 'precious');
  await page.locator('.on-its-way', { hasText: 'precious' }).waitFor();
  await page.getByRole('button', { name: 'Settings' }).click();
  await page.getByRole('button', { name: 'Leave the chat' }).click();
  link.cut();
  link.mute = false;
  await page.locator('#nick:focus').waitFor();
  assert.ok(!(await tabKeeps(page)).includes('precious'));
  await page.reload();
  await page.locator('#nick:focus').waitFor();
  await page.getByRole('button', { name: 'Continue' }).click();
  await isIn(page, 'Lobby');
  assert.equal(await page.locator('.on-its-way').count(), 0);
  // Also where the session has ended by itself.
  await findsFault();
  await page.locator('#notice', { hasText: 'a message was too long' }).waitFor();
  await say(page, '/quit');
  await page.locator('#nick:focus').waitFor();
  await page.reload();
  await page.locator('#nick:focus').waitFor();
  faultless(context);
});

test('what is written without a connection outlives loading anew, and is sent in its order', async () => {
  const it = await server();
  const link = await net(it.address);
  const context = await window_();
  await context.clock.install();
  const page = await person(context, link.url, 'Adina');
  await say(page, 'before');
  await heard(page, 'before');
  link.pages = true;
  link.cut();
  await page.locator('#notice', { hasText: 'connection is lost' }).waitFor();
  for (const text of ['one', 'two', 'three']) await say(page, text);
  await page.locator('.on-its-way.queued').nth(2).waitFor();
  page.on('dialog', (dialog) => dialog.accept());
  await page.reload();
  await page.getByRole('alert').filter({ hasText: 'The server cannot be reached.' }).waitFor();
  link.pages = false;
  // Nobody has to press anything.
  await page.clock.fastForward(60_000);
  await heard(page, 'three');
  await page.locator('.on-its-way').waitFor({ state: 'detached' });
  assert.deepEqual(await page.locator('.message .text').allTextContents(), ['before', 'one', 'two', 'three']);
  faultless(context);
});

test('a copy of a tab takes a session of its own, and says nothing that the other says', async () => {
  const it = await server();
  const link = await net(it.address);
  const context = await window_();
  const page = await person(context, link.url, 'Adina');
  const session = (tab) => tab.evaluate(() => Object.values(JSON.parse(sessionStorage.getItem('chat.outbox')))[0].session);
  const first = await session(page);
  await page.reload();
  await isIn(page, 'Lobby');
  assert.equal(await session(page), first, 'loading anew is no other life');
  link.hush = true;
  await say(page, 'precious');
  await page.locator('.on-its-way', { hasText: 'precious' }).waitFor();
  await page.locator('#text').fill('half a thought');
  const [copy] = await Promise.all([context.waitForEvent('page'), page.evaluate(() => { window.open(location.href); })]);
  await copy.waitForLoadState();
  await copy.waitForFunction((session) => Object.values(JSON.parse(sessionStorage.getItem('chat.outbox')))[0].session !== session, first);
  link.hush = false;
  await isIn(copy, 'Lobby');
  assert.equal(await copy.locator('#text').inputValue(), 'half a thought');
  assert.deepEqual(await copy.locator('.on-its-way').allTextContents(), []);
  const second = await session(copy);
  page.on('dialog', (dialog) => dialog.accept());
  await page.close();
  await copy.reload();
  await isIn(copy, 'Lobby');
  assert.equal(await session(copy), second);
  assert.ok(await copy.getByText('precious').count() <= 1);
  faultless(context);
});

test('a message that is refused goes back to where it was written, and not over what is written there by now', async () => {
  const { url, address } = await server();
  const owner = await term(address, 'Olga', ['--create', '--name', 'Club']);
  await owner.until('room 0 created');
  const context = await window_();
  const page = await person(context, `${url}#/room/0`, 'Adina');
  await isIn(page, 'Club');
  owner.say('/mute Adina');
  await page.locator('.event', { hasText: 'Olga silenced Adina' }).waitFor();
  await say(page, '/me waves');
  await page.locator('.word', { hasText: 'Not sent: You may not speak here at present.' }).waitFor();
  assert.equal(await draft(page), '/me waves');
  assert.equal(await page.locator('.on-its-way').count(), 0);
  await shot(page, 'refused');
  // In one go, so that the answer comes after what is written next.
  await page.evaluate(() => {
    const field = document.getElementById('text');
    const write = (text) => { field.value = text; field.dispatchEvent(new InputEvent('input', { bubbles: true })); };
    const enter = () => field.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', bubbles: true, cancelable: true }));
    write('am I heard?');
    enter();
    write('/topic silence');
    enter();
    write('something newer');
  });
  await page.locator('.on-its-way.failed', { hasText: 'am I heard?' }).waitFor();
  await page.locator('.word', { hasText: '/topic silence — You may not do this.' }).waitFor();
  assert.equal(await draft(page), 'something newer');
  // In a room that one does not look at, it waits there.
  owner.say('/unmute Adina');
  await page.locator('.event', { hasText: 'Olga let Adina speak again' }).waitFor();
  await page.locator('.on-its-way').getByRole('button', { name: 'Send again' }).click();
  await owner.until('Adina: am I heard?');
  faultless(context);
});

test('a link that hangs shows within ten seconds, and what was said is said once when it goes on', async () => {
  const it = await serve();
  ends.push(() => it.end('SIGKILL'));
  const context = await window_();
  await context.clock.install();
  const page = await person(context, it.url, 'Adina');
  await say(page, 'before');
  await heard(page, 'before');
  const lost = page.locator('#notice', { hasText: 'connection is lost' });
  for (const hang of ['are you there?', null]) {
    it.child.kill('SIGSTOP');
    if (hang) await say(page, hang);
    // Nothing is on its way, but somebody looks.
    else await page.evaluate(() => window.dispatchEvent(new Event('focus')));
    for (let second = 0; second < 10; second += 1) await page.clock.fastForward(1_000);
    await lost.waitFor();
    if (hang) await shot(page, 'hung');
    it.child.kill('SIGCONT');
    await page.clock.fastForward(2_000);
    await page.locator('#notice').waitFor({ state: 'hidden' });
  }
  await heard(page, 'are you there?');
  assert.equal(await message(page, 'are you there?').count(), 1);
  faultless(context);
});

test('that there is no network is said at once, and taken back when the server is heard', async () => {
  const { url } = await server();
  const context = await window_();
  const page = await person(context, url, 'Adina');
  await isIn(page, 'Lobby');
  // Sockets that are open stay so here, as they do to a server on the same machine.
  await page.evaluate(() => window.dispatchEvent(new Event('offline')));
  await page.locator('#notice').waitFor({ state: 'hidden' });
  await context.setOffline(true);
  await page.locator('#notice', { hasText: 'There is no network.' }).or(page.locator('#notice', { hasText: 'connection is lost' })).waitFor();
  await say(page, 'written without a network');
  await context.setOffline(false);
  await heard(page, 'written without a network');
  await page.locator('#notice').waitFor({ state: 'hidden' });
  faultless(context);
});
