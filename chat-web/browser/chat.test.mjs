// The page in a real Chromium, against the real server and the real terminal client.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer, request as ask } from 'node:http';
import { join } from 'node:path';
import { test } from 'node:test';
import jsQR from 'jsqr';
import png from 'pngjs';
import { CLI, SHOTS, faultless, heard, message, open, person, say, serve, shot, things } from './harness.mjs';

assert.ok(CLI, 'CHAT_CLI names the program');

const { ends, server, window_, term, folder, config } = things();

test('the way in: a name is looked at as it is typed, and a taken one is refused', async () => {
  const { url, address } = await server();
  await term(address, 'Adina');
  const context = await window_();
  const page = await open(context, url);
  const go = page.getByRole('button', { name: 'Continue' });
  const note = page.locator('#nick-note');
  await page.locator('#nick:focus').waitFor();
  assert.equal(await go.isVisible(), false);
  for (const [typed, words] of [['   ', 'A name is not empty.'], ['two words', 'A name has no spaces.'], ['/slash', 'does not begin with'],
    ['x'.repeat(60) + 'żółć', 'too long'], ['bi‮di', 'cannot be seen']]) {
    await page.locator('#nick').fill(typed);
    await note.filter({ hasText: words }).waitFor();
    assert.equal(await go.isVisible(), false, typed);
  }
  await page.locator('#nick').fill('adina');
  await go.waitFor();
  assert.equal(await note.textContent(), '');
  await shot(page, 'start-valid');
  await go.click();
  await page.getByRole('alert').filter({ hasText: 'Somebody else has this name' }).waitFor();
  await shot(page, 'start-taken');
  await page.locator('#nick').fill('Berl');
  await page.keyboard.press('Enter');
  await page.locator('#chat').waitFor();
  await page.locator('#member-list').getByText('Adina').waitFor();
  faultless(context);
});

test('two browsers and a terminal in one conversation', async () => {
  const { url, address } = await server();
  const [one, two] = [await window_(), await window_({ colorScheme: 'dark' })];
  const adina = await person(one, url, 'Adina', 'gr. 2');
  const berl = await person(two, url, 'Berl');
  const cora = await term(address, 'Cora', ['--label', 'terminal']);
  await say(adina, 'Good morning! See https://example.org/a?b=c, please.');
  await Promise.all([heard(adina, 'Good morning'), heard(berl, 'Good morning'), cora.until('Adina (gr. 2): Good morning')]);
  const link = berl.locator('.text a');
  assert.equal(await link.getAttribute('href'), 'https://example.org/a?b=c');
  assert.match(await link.getAttribute('rel'), /noopener/);
  await say(berl, 'On the desk.');
  await say(berl, '/me looks again');
  cora.say('I have it');
  await Promise.all([heard(adina, 'I have it'), heard(berl, 'I have it'), cora.until('* Berl looks again')]);
  // Sender, label, time, sent mark, day, members, live.
  const first = message(berl, 'Good morning');
  assert.equal(await first.locator('.nick').textContent(), 'Adina');
  assert.equal(await first.locator('.head .label').textContent(), 'gr. 2');
  assert.ok(await first.locator('time').getAttribute('datetime'));
  await message(adina, 'Good morning').getByRole('img', { name: 'Sent' }).waitFor();
  await berl.locator('.day', { hasText: 'Today' }).waitFor();
  assert.equal(await berl.locator('#member-list .person').count(), 3);
  // A name is completed, a command is suggested, and the name of another is changed before one's eyes.
  await adina.locator('#text').pressSequentially('Co');
  await adina.keyboard.press('Tab');
  assert.equal(await adina.locator('#text').inputValue(), 'Cora: ');
  await adina.locator('#text').fill('/ni');
  await adina.getByRole('option').filter({ hasText: '/nick' }).waitFor();
  await shot(adina, 'suggestions');
  await say(adina, '/nick Ada gr. 3');
  await berl.locator('#member-list').getByText('Ada', { exact: true }).waitFor();
  await cora.until('Adina is now Ada');
  await shot(adina, 'conversation');
  await shot(berl, 'conversation-dark');
  assert.equal(await cora.end(), 0);
  await berl.locator('.event', { hasText: 'Cora left' }).waitFor();
  await berl.locator('#member-list .person').nth(2).waitFor({ state: 'detached' });
  faultless(one, two);
});

test('a private conversation, and what is unread', async () => {
  const { url, address } = await server();
  const context = await window_();
  const adina = await person(context, url, 'Adina');
  const berl = await term(address, 'Berl');
  const cora = await term(address, 'Cora');
  berl.say('/msg Adina between us');
  const entry = adina.locator('#room-list .entry', { hasText: 'Berl' });
  await entry.locator('.badge', { hasText: '1' }).waitFor();
  await adina.waitForFunction(() => document.title.startsWith('(1) '));
  await shot(adina, 'unread');
  await entry.click();
  await heard(adina, 'between us');
  await entry.locator('.badge').waitFor({ state: 'detached' });
  await say(adina, 'nobody else');
  await berl.until('Adina: nobody else');
  await adina.locator('#room-list .entry', { hasText: 'Lobby' }).click();
  await say(adina, '/msg Cora you too');
  await cora.until('Adina: you too');
  cora.say('end of the test');
  await berl.until('end of the test');
  assert.ok(!berl.lines.some((line) => line.includes('you too')) && !cora.lines.some((line) => line.includes('between us')));
  faultless(context);
});

test('groups with passwords, made here and joined there and the other way round; the server and its log see only ciphertext', async () => {
  const data = folder();
  const it = await server(['--data', data]);
  const context = await window_();
  const adina = await person(context, it.url, 'Adina');
  const password = join(folder(), 'password');
  writeFileSync(password, 'correct horse\n');

  // Made in the browser, joined from the terminal.
  await adina.getByRole('button', { name: 'New group' }).click();
  const dialog = adina.getByRole('dialog');
  await dialog.locator('[name=name]').fill('Chess');
  await dialog.locator('[name=topic]').fill('openings');
  await dialog.getByText('Only people with the password').click();
  await dialog.locator('input[type=password]').fill('correct horse');
  await shot(adina, 'create');
  await dialog.getByRole('button', { name: 'Create' }).click();
  await adina.locator('#seal', { hasText: 'End-to-end encrypted' }).waitFor();
  const berl = await term(it.address, 'Berl', ['--room', '0', '--password-file', password]);
  await berl.until('joined room 0');
  await say(adina, 'the secret of the browser');
  await berl.until('Adina: the secret of the browser');
  berl.say('the secret of the terminal');
  await heard(adina, 'the secret of the terminal');
  await shot(adina, 'encrypted');

  // Made at the terminal, joined from the browser: first with a wrong password.
  const cora = await term(it.address, 'Cora', ['--create', '--name', 'Cinema', '--password-file', password]);
  await cora.until('room 1 created');
  await adina.getByRole('button', { name: 'Join', exact: true }).click();
  await adina.getByRole('dialog').locator('.entry', { hasText: 'Cinema' }).click();
  const unlock = adina.locator('dialog[data-name=unlock]');
  await unlock.locator('input').fill('wrong');
  await unlock.getByRole('button', { name: 'Join' }).click();
  await unlock.getByRole('alert').filter({ hasText: 'Wrong password' }).waitFor();
  await shot(adina, 'wrong-password');
  await unlock.locator('input').fill('correct horse');
  await unlock.getByRole('button', { name: 'Join' }).click();
  await unlock.waitFor({ state: 'detached' });
  cora.say('the secret of the cinema');
  await heard(adina, 'the secret of the cinema');
  await say(adina, 'the secret of the audience');
  await cora.until('Adina: the secret of the audience');

  // After reloading one is in again at once, and reads and writes there without the password: this tab has kept the keys.
  await adina.reload();
  await adina.locator('#room-list .entry', { hasText: 'Chess' }).click();
  await heard(adina, 'the secret of the terminal');
  await say(adina, 'the secret after reloading');
  await berl.until('Adina: the secret after reloading');
  // Another tab of the same browser has none: it asks for the password, and takes over.
  const tab = await context.newPage();
  await tab.goto(it.url);
  await tab.getByRole('button', { name: 'Continue' }).click();
  await tab.locator('#room-list .entry', { hasText: 'Chess' }).click();
  await tab.getByText('the key is missing').first().waitFor();
  assert.equal(await tab.locator('#text').isDisabled(), true);
  await shot(tab, 'locked');
  await tab.getByRole('button', { name: 'Unlock' }).click();
  await tab.locator('dialog[data-name=unlock] input').fill('correct horse');
  await tab.locator('dialog[data-name=unlock]').getByRole('button', { name: 'Join' }).click();
  await heard(tab, 'the secret of the terminal');
  await heard(tab, 'the secret after reloading');
  // Nothing of it outlives the tab, and no password is kept anywhere.
  const kept = await tab.evaluate(() => [JSON.stringify({ ...localStorage }), JSON.stringify({ ...sessionStorage })]);
  assert.ok(!kept.join().includes('correct horse'));
  assert.ok(!kept[0].includes('chat.keys') && kept[1].includes('chat.keys'));
  // Who leaves the chat takes the keys along.
  await say(tab, '/quit');
  await tab.locator('#nick:focus').waitFor();
  assert.deepEqual(await tab.evaluate(() => ({ ...sessionStorage })), {});

  await it.until('encrypted message: Adina in chat 0: ');
  await it.until('encrypted message: Cora in chat 1: ');
  await it.until('wrong password: Adina for chat 1');
  const operator = it.lines.join('\n');
  await it.end('SIGTERM');
  const files = readdirSync(data, { recursive: true }).map((name) => join(data, name)).filter((path) => statSync(path).isFile());
  assert.ok(files.length > 0);
  for (const secret of ['the secret of', 'correct horse']) {
    assert.ok(!operator.includes(secret), `the operator has read ${secret}`);
    for (const file of files) assert.ok(!readFileSync(file).includes(secret), `${file} has ${secret}`);
  }
  // The search finds what is there: names are no secret.
  assert.ok(files.some((file) => readFileSync(file).includes('openings')));
  faultless(context);
});

test('who gives a password is asked before a room that is not encrypted is entered', async () => {
  const it = await server();
  const password = join(folder(), 'password');
  writeFileSync(password, 'correct horse\n');
  const olga = await term(it.address, 'Olga', ['--create', '--name', 'Pretence', '--password-file', password, '--cipher', 'none']);
  await olga.until('room 0 created');
  const context = await window_();
  const adina = await person(context, it.url, 'Adina');
  const [unlock, question] = ['unlock', 'unsealed'].map((name) => adina.locator(`dialog[data-name=${name}]`));
  const enter = (dialog) => dialog.getByRole('button', { name: 'Join' }).click();
  const isIn = (name) => adina.locator('#room-name', { hasText: name }).waitFor();
  const byNumber = async (number) => {
    await adina.getByRole('button', { name: 'Join', exact: true }).click();
    const dialog = adina.locator('dialog[data-name=join]');
    await dialog.locator('[name=number]').fill(number);
    await dialog.locator('input[type=password]').fill('correct horse');
    await enter(dialog);
  };

  // By the list; who thinks better of it is out again.
  await adina.getByRole('button', { name: 'Join', exact: true }).click();
  await adina.locator('dialog .entry', { hasText: 'Pretence' }).click();
  await unlock.locator('input').fill('correct horse');
  await enter(unlock);
  await question.getByText('it is not encrypted').waitFor();
  await shot(adina, 'not-encrypted');
  await question.getByRole('button', { name: 'Cancel' }).click();
  await question.waitFor({ state: 'detached' });
  await olga.until('Adina left');
  await isIn('Lobby');
  // By number; now it is entered all the same.
  await byNumber('0');
  await question.waitFor();
  await enter(question);
  await question.waitFor({ state: 'detached' });
  await isIn('Pretence');
  await say(adina, 'for everybody');
  await olga.until('Adina: for everybody');

  // Where there is no password, nobody is let in with one.
  olga.say('/create Open');
  await olga.until('room 1 created');
  await byNumber('1');
  await adina.locator('dialog[data-name=join]').getByRole('alert').filter({ hasText: 'no password' }).waitFor();
  await adina.keyboard.press('Escape');
  await isIn('Pretence');
  faultless(context);
});

test('the server is killed and comes back while both write: nothing is lost, nothing is there twice', async () => {
  const data = folder();
  const first = await serve(['--data', data]);
  const [one, two] = [await window_(), await window_()];
  const pages = [await person(one, first.url, 'Adina'), await person(two, first.url, 'Berl')];
  const texts = [];
  const both = async (round) => {
    for (const [at, page] of pages.entries()) {
      const text = `${['Adina', 'Berl'][at]} says ${round}.`;
      texts.push(text);
      await say(page, text);
    }
  };
  for (let round = 0; round < 5; round += 1) await both(round);
  await first.end('SIGKILL');
  await Promise.all(pages.map((page) => page.locator('#notice', { hasText: 'connection is lost' }).waitFor()));
  for (let round = 5; round < 10; round += 1) await both(round);
  await pages[0].locator('.on-its-way.pending').first().waitFor();
  await shot(pages[0], 'reconnecting');
  const again = await server(['--data', data], { listen: first.address });
  for (let round = 10; round < 12; round += 1) await both(round);
  for (const page of pages) {
    for (const text of texts) await heard(page, text);
    await page.waitForFunction(() => document.querySelectorAll('.on-its-way').length === 0);
    const shown = await page.locator('.message .text').allTextContents();
    assert.deepEqual([...shown].sort(), [...texts].sort());
  }
  // One order for both.
  const [left, right] = await Promise.all(pages.map((page) => page.locator('.message .text').allTextContents()));
  assert.deepEqual(left, right);
  // The server stops in earnest: it says so, and everything stays to be read.
  await again.end('SIGTERM');
  await pages[0].locator('#notice', { hasText: 'the server has stopped' }).waitFor();
  await pages[0].getByRole('button', { name: 'Try now' }).waitFor();
  await shot(pages[0], 'stopped');
  // Another one in its place: one click, and everything is there again.
  await server(['--data', data], { listen: first.address });
  await pages[0].getByRole('button', { name: 'Try now' }).click();
  await heard(pages[0], texts[0]);
  await say(pages[0], 'there again');
  await heard(pages[0], 'there again');
  // A second tab of the same browser is the same person, and both go on.
  const tab = await one.newPage();
  await tab.goto(first.url);
  await tab.getByRole('button', { name: 'Continue' }).click();
  await heard(tab, 'there again');
  await say(tab, 'by the second tab');
  await heard(pages[0], 'by the second tab');
  await say(pages[0], 'by the first one');
  await heard(tab, 'by the first one');
  faultless(one, two);
});

test('a hostile message is a text and nothing else', async () => {
  const { url } = await server();
  const [one, two] = [await window_(), await window_()];
  const adina = await person(one, url, 'Adina');
  const mallory = await person(two, url, 'Mallory');
  const hostile = '<img src=x onerror="document.title=\'owned\'"><script>document.title="owned"</script>';
  await say(mallory, hostile);
  await heard(adina, '<img src=x');
  assert.equal(await message(adina, '<img').locator('.text').textContent(), hostile);
  assert.equal(await adina.locator('.log img, .log script').count(), 0);
  assert.ok(!(await adina.title()).includes('owned'));
  await say(mallory, 'invoice ‮fdp.exe');
  await heard(adina, 'invoice <U+202E>fdp.exe');
  await say(mallory, 'javascript:alert(1) data:text/html,x http://ok.example/x');
  await heard(adina, 'ok.example');
  assert.deepEqual(await message(adina, 'ok.example').locator('a').evaluateAll((all) => all.map((a) => a.protocol)), ['http:']);
  const long = 'word '.repeat(3_276) + 'end';
  await say(mallory, long);
  const folded = message(adina, 'word word');
  await folded.getByRole('button', { name: 'Show all' }).click();
  assert.equal((await folded.locator('.text > span').textContent()).length, long.length);
  assert.ok(await adina.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
  await say(mallory, 'x'.repeat(17_000));
  await mallory.getByText('This is too long for a message, of 16384 bytes at most.').waitFor();
  await shot(mallory, 'too-long');
  // It is not sent, and not lost.
  assert.equal((await mallory.locator('#text').inputValue()).length, 17_000);
  assert.equal(await mallory.locator('.on-its-way').count(), 0);
  await say(mallory, 'z͌͛̒ͩ'.repeat(40) + 'W'.repeat(400));
  await heard(adina, 'WWWW');
  await shot(adina, 'hostile');
  assert.ok(await adina.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
  faultless(one, two);
});

test('a phone', async () => {
  const { url, address } = await server();
  const context = await window_({ viewport: { width: 375, height: 667 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2 });
  const page = await person(context, url, 'Adina');
  const berl = await term(address, 'Berl');
  berl.say('can you read this on your phone?');
  await heard(page, 'on your phone');
  await say(page, 'yes, '.repeat(30));
  await berl.until('yes, yes');
  await shot(page, 'phone');
  await page.getByRole('button', { name: 'Show rooms' }).click();
  await page.locator('#room-list .entry', { hasText: 'Lobby' }).waitFor();
  await page.evaluate(() => Promise.all(document.getAnimations().map((each) => each.finished)));
  await shot(page, 'phone-rooms');
  await page.locator('#room-list .entry', { hasText: 'Lobby' }).click();
  await page.getByRole('button', { name: 'Show people' }).click();
  await page.locator('#member-list .person', { hasText: 'Berl' }).click();
  await page.getByRole('button', { name: 'Private message' }).waitFor();
  await page.evaluate(() => Promise.all(document.getAnimations().map((each) => each.finished)));
  await shot(page, 'phone-person');
  await page.getByRole('button', { name: 'Private message' }).click();
  await page.locator('#room-name', { hasText: 'Berl' }).waitFor();
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
  // Nothing to be touched is too small for a finger.
  const small = await page.locator('#room header button:visible, .composer button').evaluateAll((all) => all.filter((each) => each.getBoundingClientRect().height < 40).length);
  assert.equal(small, 0);
  faultless(context);
});

test('text from right to left', async () => {
  const { url } = await server();
  const [one, two] = [await window_(), await window_()];
  const maya = await person(one, url, 'מאיה', 'קבוצה ב');
  const berl = await person(two, url, 'Berl');
  await say(maya, 'שלום Berl, מה נשמע? 123');
  await heard(berl, 'מה נשמע');
  const text = message(berl, 'מה נשמע').locator('.text');
  assert.equal(await text.evaluate((element) => element.matches(':dir(rtl)')), true);
  await say(berl, 'fine, and you, מאיה?');
  await heard(maya, 'fine, and you');
  await berl.mouse.move(0, 0);
  await shot(berl, 'right-to-left');
  // The whole page the other way round, as another language will have it.
  await maya.evaluate(() => { document.documentElement.dir = 'rtl'; });
  const [rooms, members] = await Promise.all(['#rooms', '#members'].map((id) => maya.locator(id).boundingBox()));
  assert.ok(rooms.x > members.x);
  await shot(maya, 'right-to-left-page');
  faultless(one, two);
});

test('everything by keyboard, and read out', async () => {
  const { url, address } = await server();
  const context = await window_();
  const page = await open(context, url);
  await page.locator('#nick:focus').waitFor();
  await page.keyboard.type('Adina');
  await page.getByRole('button', { name: 'Continue' }).waitFor();
  await page.keyboard.press('Enter');
  await page.locator('#text:focus').waitFor();
  await page.keyboard.type('/create');
  await page.keyboard.press('Enter');
  await page.locator('dialog [name=name]:focus').waitFor();
  await page.keyboard.type('Keys');
  await page.keyboard.press('Enter');
  await page.locator('#room-name', { hasText: 'Keys' }).waitFor();
  await page.locator('dialog').waitFor({ state: 'detached' });
  await page.locator('#text:focus').waitFor();
  await page.keyboard.type('by hand');
  await page.keyboard.press('Enter');
  await heard(page, 'by hand');
  await page.keyboard.press('Alt+ArrowUp');
  await page.locator('#room-name', { hasText: 'Lobby' }).waitFor();
  await page.keyboard.type('/help');
  await page.keyboard.press('Enter');
  await page.getByText('say what you do').waitFor();
  await shot(page, 'help');
  await page.keyboard.press('Shift+Tab');
  assert.ok(await page.evaluate(() => document.activeElement !== document.body));
  assert.equal(await page.getByRole('log').getAttribute('aria-live'), 'polite');
  const berl = await term(address, 'Berl');
  berl.say('read me out');
  await page.getByRole('log').getByText('read me out').waitFor();
  const nameless = await page.locator('button:visible, input:visible, textarea:visible').evaluateAll((all) => all
    .filter((each) => !(each.getAttribute('aria-label') || each.textContent.trim() || each.labels?.length)).length);
  assert.equal(nameless, 0);
  faultless(context);
});

test('an insecure room is told from afar; a link with its code leads into a room', async () => {
  const { url, address } = await server();
  const [one, two] = [await window_(), await window_()];
  const adina = await person(one, url, 'Adina');
  await say(adina, '/create Rome');
  await adina.getByText('Caesar cipher').click();
  await adina.getByRole('dialog').getByRole('button', { name: 'Create' }).click();
  await adina.getByText('Insecure: this room uses').waitFor();
  await say(adina, 'Hello, Zoë!');
  await heard(adina, 'Hello, Zoë!');
  await shot(adina, 'insecure');
  const cora = await term(address, 'Cora', ['--room', '0', '--cipher', 'caesar:3']);
  cora.say('ave');
  await heard(adina, 'ave');

  await adina.getByRole('button', { name: 'Share this room' }).click();
  const link = await adina.getByRole('textbox', { name: 'Link' }).inputValue();
  assert.equal(link, `${url}#/room/0`);
  const picture = await adina.getByRole('img', { name: 'QR code' }).screenshot({ path: join(SHOTS, 'code.png') });
  const { data, width, height } = png.PNG.sync.read(picture);
  assert.equal(jsQR(new Uint8ClampedArray(data), width, height)?.data, link);
  await shot(adina, 'share');
  const berl = await person(two, link, 'Berl');
  await berl.locator('dialog input').fill('3');
  await berl.getByRole('dialog').getByRole('button', { name: 'Join' }).click();
  await heard(berl, 'Hello, Zoë!');
  faultless(one, two);
});

test('history comes when one scrolls up', async () => {
  const { url, address } = await server();
  const berl = await term(address, 'Berl');
  for (let n = 0; n < 160; n += 1) berl.say(`line ${n} of many`);
  await berl.until('line 159 of many');
  const context = await window_();
  const page = await person(context, url, 'Adina');
  await heard(page, 'line 159 of many');
  assert.equal(await message(page, 'line 0 of many').count(), 0);
  await page.waitForFunction(() => {
    const scroll = document.getElementById('log-scroll');
    scroll.scrollTop = 0;
    return document.getElementById('log').textContent.includes('line 0 of many');
  });
  const numbers = await page.locator('.message .text').evaluateAll((all) => all.map((each) => Number(/line (\d+)/.exec(each.textContent)[1])));
  assert.deepEqual(numbers, [...Array(160).keys()]);
  await page.getByText('This is where the conversation begins.').waitFor();
  await page.evaluate(() => { document.getElementById('log-scroll').scrollTop = 0; });
  berl.say('and one more');
  await page.getByRole('button', { name: 'Go to the newest message' }).filter({ hasText: '1 new message' }).waitFor();
  await shot(page, 'history');
  faultless(context);
});

test('a page that asks for an address, and a server that lets it in only when told to', async () => {
  // The page comes from one server, as that serves it, and connects to others.
  const host = await server(config('[web]\nany_server = true\n'));
  const [closed, welcoming] = [await server(), await server(config(`[web]\norigins = ["${new URL(host.url).origin}"]\n`))];
  const context = await window_();
  const page = await open(context, host.url);
  await page.locator('#nick').fill('Adina');
  assert.equal(await page.locator('#address').inputValue(), host.address);
  for (const [typed, words] of [['not an address', 'This is not an address'], ['host:0', 'A port is a number'], ['host:70000', 'A port is a number']]) {
    await page.locator('#address').fill(typed);
    await page.locator('#address-note').filter({ hasText: words }).waitFor();
    assert.equal(await page.getByRole('button', { name: 'Continue' }).isVisible(), false);
  }
  await shot(page, 'address');
  await page.locator('#address').fill(closed.address);
  await page.getByRole('button', { name: 'Continue' }).click();
  await page.getByRole('alert').filter({ hasText: 'cannot be reached' }).waitFor();
  await page.locator('#address').fill(welcoming.address);
  await page.getByRole('button', { name: 'Continue' }).click();
  await page.locator('#chat').waitFor();
  await say(page, 'from elsewhere');
  await heard(page, 'from elsewhere');
  await welcoming.until('message: Adina');
  // No server is shown the secret of another.
  const secrets = Object.entries(await page.evaluate(() => JSON.parse(localStorage.getItem('chat.secrets'))));
  assert.deepEqual(secrets.map(([url]) => url), [closed, welcoming].map(({ address }) => `ws://${address}/ws`));
  assert.notDeepEqual(secrets[0][1], secrets[1][1]);
});

test('below a path, as behind a proxy', async () => {
  const file = join(folder(), 'chat.toml');
  writeFileSync(file, '[web]\nbase_path = "/talk/"\n');
  const { url } = await server(['--config', file]);
  const context = await window_();
  const page = await person(context, `${url}talk`, 'Adina');
  assert.equal(page.url(), `${url}talk/`);
  await say(page, 'below');
  await heard(page, 'below');
  faultless(context);
});

test('behind a proxy that has it in a folder of its own, and says whom it speaks for', async () => {
  const it = await server(['--trusted-proxy', '127.0.0.1']);
  const upstream = new URL(it.url);
  const passed = ({ headers, url, method }) => ({
    host: upstream.hostname, port: upstream.port, method, path: url.replace(/^\/deep\/talk/, ''),
    headers: { ...headers, host: upstream.host, 'x-forwarded-host': headers.host, 'x-forwarded-for': '203.0.113.9' },
  });
  const proxy = createServer((request, response) => {
    request.pipe(ask(passed(request), (answer) => { response.writeHead(answer.statusCode, answer.headers); answer.pipe(response); }));
  });
  proxy.on('upgrade', (request, socket, head) => {
    const asked = ask(passed(request));
    asked.on('upgrade', (answer, other, rest) => {
      const lines = answer.rawHeaders.map((each, at) => (at % 2 ? `${each}\r\n` : `${each}: `)).join('');
      socket.write(`HTTP/1.1 101 Switching Protocols\r\n${lines}\r\n`);
      socket.write(rest);
      other.write(head);
      socket.pipe(other).pipe(socket);
      for (const [one, two] of [[socket, other], [other, socket]]) one.on('error', () => two.destroy());
    });
    asked.end();
  });
  await new Promise((done) => proxy.listen(0, '127.0.0.1', done));
  ends.push(() => { proxy.closeAllConnections(); proxy.close(); });
  const context = await window_();
  const page = await person(context, `http://127.0.0.1:${proxy.address().port}/deep/talk/`, 'Adina');
  await say(page, 'through the proxy');
  await heard(page, 'through the proxy');
  await it.until('client connected: 203.0.113.9');
  faultless(context);
});
