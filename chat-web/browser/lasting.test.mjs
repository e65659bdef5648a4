// What outlives a lost connection, the end of a server, and the loading anew of the page: what was written, and where one was.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { faultfinder, faultless, heard, message, person, say, serve, shot, things } from './harness.mjs';

const { server, window_, term, folder, net, config } = things();
const isIn = (page, name) => page.locator('#room-name', { hasText: name }).waitFor();
const draft = (page) => page.locator('#text').inputValue();
const way = (page, text) => page.locator('.on-its-way', { hasText: text });
const create = async (page, name) => {
  await say(page, `/create ${name}`);
  await page.getByRole('dialog').getByRole('button', { name: 'Create' }).click();
  await isIn(page, name);
};
/** As fast as one can speak. */
const fast = '[limits.send_rate]\nburst = 100000\nper_second = 100000\n[limits.written_per_member]\nburst = 1000000000\nper_second = 1000000000\n';

test('a server that forgets everything comes back: one is in the lobby again, with what was not sent and not finished', async () => {
  const first = await serve();
  const context = await window_();
  const page = await person(context, first.url, 'Adina');
  await say(page, 'before');
  await heard(page, 'before');
  await first.end('SIGKILL');
  await page.locator('#notice', { hasText: 'connection is lost' }).waitFor();
  await say(page, 'while it was down');
  await page.locator('#text').fill('half a thought');
  await server([], { listen: first.address });
  await page.locator('#member-list .person', { hasText: 'Adina' }).waitFor();
  await heard(page, 'while it was down');
  assert.equal(await draft(page), 'half a thought');
  await shot(page, 'server-has-forgotten');
  await page.locator('#text').press('Enter');
  await heard(page, 'half a thought');
  assert.equal(await page.locator('.on-its-way').count(), 0);
  assert.equal(await message(page, 'before').count(), 0);
  faultless(context);
});

test('a server that has stopped: the page comes back by itself, and what was written meanwhile is sent in its order', async () => {
  const data = folder();
  const first = await serve(['--data', data]);
  const context = await window_();
  await context.clock.install();
  const page = await person(context, first.url, 'Adina');
  await say(page, 'before');
  await heard(page, 'before');
  await first.end('SIGTERM');
  await page.locator('#notice', { hasText: 'the server has stopped' }).waitFor();
  const lines = [1, 2, 3, 4].map((n) => `said while it was stopped, ${n}`);
  for (const line of lines) await say(page, line);
  await page.locator('.on-its-way.queued').nth(3).waitFor();
  await page.locator('#text').fill('half a thought');
  await shot(page, 'stopped-and-queued');
  // Two tries come to nothing.
  for (let tries = 0; tries < 2; tries += 1) await page.clock.fastForward(60_000);
  await server(['--data', data], { listen: first.address });
  // The next comes within a minute.
  await page.clock.fastForward(60_000);
  await heard(page, lines.at(-1));
  await page.locator('.on-its-way').waitFor({ state: 'detached' });
  assert.deepEqual(await page.locator('.message .text').allTextContents(), ['before', ...lines]);
  assert.equal(await draft(page), 'half a thought');
  faultless(context);
});

test('who is put out while away finds what was written there', async () => {
  const it = await server();
  const owner = await term(it.address, 'Olga', ['--create', '--name', 'Club']);
  await owner.until('room 0 created');
  const context = await window_();
  const link = await net(it.address);
  const page = await person(context, `${link.url}#/room/0`, 'Adina');
  await isIn(page, 'Club');
  link.gone = true;
  link.cut();
  await page.locator('#notice', { hasText: 'connection is lost' }).waitFor();
  await say(page, 'to the club');
  await page.locator('#text').fill('half a thought');
  owner.say('/kick Adina');
  await it.until('member gone: Adina');
  link.gone = false;
  await page.locator('#notice', { hasText: 'You are no longer in Club.' }).waitFor();
  await isIn(page, 'Club');
  assert.equal(await draft(page), 'half a thought');
  await way(page, 'to the club').getByText('Not sent').or(way(page, 'to the club').getByText('Nobody can say')).waitFor();
  await page.locator('#warning', { hasText: 'You are not in this room any more.' }).waitFor();
  await shot(page, 'put-out-with-a-draft');
  // It is still there after loading the page anew, and one can go in again with it.
  await page.reload();
  await page.locator('#room-list .entry', { hasText: 'Club' }).click();
  assert.equal(await draft(page), 'half a thought');
  await page.locator('#warning').getByRole('button', { name: 'Join again' }).click();
  await page.locator('#warning').waitFor({ state: 'hidden' });
  await page.locator('#text').press('Enter');
  await owner.until('Adina: half a thought');
  // Or let go of it.
  owner.say('/kick Adina');
  await page.locator('#warning').getByRole('button', { name: 'Close' }).click();
  await isIn(page, 'Lobby');
  await page.locator('#room-list .entry', { hasText: 'Club' }).waitFor({ state: 'detached' });
  faultless(context);
});

test('loading the page anew keeps what was written, leads back to the room, and asks before what is on its way is lost', async () => {
  const it = await server();
  const link = await net(it.address);
  const context = await window_();
  const page = await person(context, link.url, 'Adina');
  await create(page, 'Chess');
  await say(page, 'on the board');
  await heard(page, 'on the board');
  await page.locator('#text').fill('a draft for chess');
  link.mute = true;
  await page.locator('#room-list .entry', { hasText: 'Lobby' }).click();
  await say(page, 'precious');
  await way(page, 'precious').waitFor();
  await page.locator('#text').fill('a draft for all');
  await page.locator('#room-list .entry', { hasText: 'Chess' }).click();
  assert.equal(await draft(page), 'a draft for chess');
  const asked = [];
  page.on('dialog', (dialog) => { asked.push(dialog.type()); dialog.accept(); });
  // What was held up is gone with the connection.
  const loaded = page.reload();
  await page.waitForEvent('dialog');
  link.cut();
  link.mute = false;
  await loaded.catch(() => page.reload());
  assert.deepEqual(asked, ['beforeunload']);
  await isIn(page, 'Chess');
  assert.equal(await draft(page), 'a draft for chess');
  await heard(page, 'on the board');
  await page.locator('#room-list .entry', { hasText: 'Lobby' }).click();
  assert.equal(await draft(page), 'a draft for all');
  // It is sent again by itself, under its number.
  await heard(page, 'precious');
  await way(page, 'precious').waitFor({ state: 'detached' });
  assert.equal(await message(page, 'precious').count(), 1);
  // Who leaves takes it all along.
  await say(page, '/quit');
  await page.locator('#nick:focus').waitFor();
  assert.ok(!(await page.evaluate(() => JSON.stringify({ ...sessionStorage }))).includes('draft for'));
  faultless(context);
});

test('what was sent, and not known to be, stands there once when the page comes back', async () => {
  const it = await server();
  const link = await net(it.address);
  const context = await window_();
  const page = await person(context, link.url, 'Adina');
  const berl = await term(it.address, 'Berl');
  await page.locator('#member-list', { hasText: 'Berl' }).waitFor();
  link.deaf = true;
  await say(page, 'heard by all but me');
  await berl.until('Adina: heard by all but me');
  page.on('dialog', (dialog) => dialog.accept());
  link.cut();
  link.deaf = false;
  await page.reload();
  await heard(page, 'heard by all but me');
  await page.locator('.on-its-way').waitFor({ state: 'detached' });
  assert.equal(await page.getByText('heard by all but me').count(), 1);
  faultless(context);
});

test('between two, what a server that forgets everything may have taken in is said to be in doubt, and not said again', async () => {
  const first = await serve();
  const link = await net(first.address);
  const context = await window_();
  const page = await person(context, link.url, 'Adina');
  const berl = await term(first.address, 'Berl');
  await say(page, '/msg Berl between us');
  await isIn(page, 'Berl');
  await berl.until('Adina: between us');
  link.deaf = true;
  await say(page, 'heard by one but me');
  await berl.until('Adina: heard by one but me');
  await first.end('SIGKILL');
  link.deaf = false;
  await server([], { listen: first.address });
  await way(page, 'heard by one but me').getByText('Nobody can say whether this was sent.').waitFor();
  assert.equal(await page.locator('.on-its-way').count(), 1);
  assert.equal(await page.getByText(/not sent/i).count(), 0);
  await shot(page, 'in-doubt-between-two');
  berl.say('/msg Adina are you there?');
  await berl.until('[private to Adina] Berl: are you there?');
  assert.equal(berl.lines.filter((line) => line.includes('heard by one but me')).length, 1);
  faultless(context);
});

test('after so much that it is not kept, one\'s own message stands there once, and that something was missed is said', async () => {
  const it = await server(['--history', '50', ...config(fast)]);
  const link = await net(it.address);
  const context = await window_();
  const page = await person(context, link.url, 'Adina');
  const berl = await term(it.address, 'Berl');
  await page.locator('#member-list', { hasText: 'Berl' }).waitFor();
  await say(page, 'first');
  await heard(page, 'first');
  link.deaf = true;
  for (let n = 0; n < 1_500; n += 1) berl.say(`line ${n}`);
  await berl.until('line 1499');
  await say(page, 'my only message');
  await berl.until('Adina: my only message');
  berl.say('and after it');
  await berl.until('and after it');
  link.cut();
  link.deaf = false;
  await heard(page, 'and after it');
  await page.locator('.on-its-way').waitFor({ state: 'detached' });
  assert.equal(await page.getByText('my only message').count(), 1);
  assert.equal(await message(page, 'first').count(), 0);
  await page.locator('.event', { hasText: 'Some of what was said while you were away is not kept.' }).waitFor();
  await shot(page, 'seam');
  berl.say('going on');
  await heard(page, 'going on');
  faultless(context);
});

test('a history that was asked for before the connection was lost does not empty the room', async () => {
  const it = await server(['--history', '100', ...config(fast)]);
  const link = await net(it.address);
  const context = await window_();
  const berl = await term(it.address, 'Berl');
  for (let n = 0; n < 200; n += 1) berl.say(`line ${n}.`);
  await berl.until('line 199.');
  const page = await person(context, link.url, 'Adina');
  await heard(page, 'line 199.');
  link.deaf = true;
  await page.locator('#log-scroll').evaluate((element) => { element.scrollTop = 0; });
  await page.locator('#log-top', { hasText: 'Loading' }).waitFor();
  for (let n = 200; n < 1_500; n += 1) berl.say(`line ${n}.`);
  await berl.until('line 1499.');
  link.cut();
  link.deaf = false;
  await heard(page, 'line 1499.');
  assert.equal(await page.getByText('Nothing has been said here yet').count(), 0);
  faultless(context);
});

test('a server that finds fault with what the page says is not asked again and again', async () => {
  const { url } = await server();
  const context = await window_();
  const page = await context.newPage();
  let tried = 0;
  await page.routeWebSocket(/\/ws$/, (socket) => {
    tried += 1;
    const far = socket.connectToServer();
    socket.onMessage((bytes) => far.send(bytes));
    far.onMessage((bytes) => socket.send(bytes));
    if (tried === 1) page.cutIt = () => socket.close({ code: 1009, reason: 'too long' });
  });
  await page.goto(url);
  await page.locator('#nick').fill('Adina');
  await page.getByRole('button', { name: 'Continue' }).click();
  await isIn(page, 'Lobby');
  await page.cutIt();
  await page.locator('#notice', { hasText: 'a message was too long' }).waitFor();
  await say(page, 'in vain');
  await page.locator('.on-its-way.queued', { hasText: 'in vain' }).waitFor();
  assert.equal(tried, 1);
  await page.getByRole('button', { name: 'Connect again' }).click();
  await page.locator('#notice').waitFor({ state: 'hidden' });
  assert.equal(tried, 2);
  await heard(page, 'in vain');
});

test('connecting again leaves nothing of the former session behind', async () => {
  const it = await server(config(fast));
  const context = await window_();
  const berl = await term(it.address, 'Berl');
  for (let n = 0; n < 160; n += 1) berl.say(`line ${n}.`);
  await berl.until('line 159.');
  const findsFault = await faultfinder(context);
  const page = await person(context, it.url, 'Adina');
  await heard(page, 'line 159.');
  await findsFault();
  await page.locator('#notice', { hasText: 'a message was too long' }).waitFor();
  await page.getByRole('button', { name: 'Connect again' }).click();
  await heard(page, 'line 159.');
  await page.waitForFunction(() => {
    document.getElementById('log-scroll').scrollTop = 0;
    return document.getElementById('log').textContent.includes('line 0.');
  });
  await page.getByText('This is where the conversation begins.').waitFor();
  const numbers = await page.locator('.message .text').evaluateAll((all) => all.map((each) => Number(/line (\d+)/.exec(each.textContent)[1])));
  assert.deepEqual(numbers, [...Array(160).keys()]);
  faultless(context);
});

test('each server has a secret of its own, and one of an earlier version of the page stays', async () => {
  const { url } = await server();
  const context = await window_();
  const page = await person(context, url, 'Adina');
  const kept = () => page.evaluate(() => JSON.parse(localStorage.getItem('chat.secrets')));
  assert.deepEqual(Object.keys(await kept()), [`${url.replace('http', 'ws')}ws`]);
  const [before] = Object.values(await kept());
  await page.evaluate((secret) => { localStorage.removeItem('chat.secrets'); localStorage.setItem('chat.secret', JSON.stringify(secret)); }, before);
  await page.reload();
  await isIn(page, 'Lobby');
  assert.deepEqual(Object.values(await kept()), [before]);
  faultless(context);
});
