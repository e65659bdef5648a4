// What one can do in a room: every command of the line, the buttons beside a name, and what comes of them for the others.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { faultless, heard, message, person, say, shot, things } from './harness.mjs';

const { server, window_, term } = things();
const event = (page, text) => page.locator('.event', { hasText: text }).first().waitFor();
const isIn = (page, name) => page.locator('#room-name', { hasText: name }).waitFor();

test('every command of the line', async () => {
  const { url, tcp } = await server();
  const context = await window_();
  const page = await person(context, url, 'Adina');
  const [berl, cora] = [await term(tcp, 'Berl'), await term(tcp, 'Cora')];
  const tried = new Set();
  const command = async (line) => { tried.add(line.split(' ')[0]); await say(page, line); };

  await command('/help');
  const listed = (await page.locator('.help code').allTextContents()).map((usage) => usage.split(' ')[0]);
  await command('/me waves');
  await page.locator('.message.action', { hasText: 'waves' }).waitFor();
  await berl.until('* Adina waves');
  await command('/msg Berl between us');
  await isIn(page, 'Berl');
  await berl.until('Adina: between us');
  await command('/block Berl');
  await event(page, 'Adina takes no messages here');
  berl.say('/msg Adina are you there?');
  await berl.until('not sent');
  await command('/unblock Berl');
  await event(page, 'Adina takes messages here again');
  berl.say('/msg Adina you are');
  await heard(page, 'you are');
  await command('/switch lobby');
  await isIn(page, 'Lobby');
  await command('/switch Berl');
  await isIn(page, 'Berl');
  await command('/join lobby');
  await isIn(page, 'Lobby');
  await command('/nick Ada group 2');
  await page.locator('#me .nick', { hasText: 'Ada' }).waitFor();
  await page.locator('#me .label', { hasText: 'group 2' }).waitFor();
  await berl.until('Adina is now Ada');
  await command('/online');
  await page.locator('#chat[data-panel=members]').waitFor();
  await page.keyboard.press('Escape');

  await command('/create Chess');
  await page.getByRole('dialog').getByRole('button', { name: 'Create' }).click();
  await isIn(page, 'Chess');
  await command('/topic openings');
  await page.locator('#room-topic', { hasText: 'openings' }).waitFor();
  await event(page, 'Ada set the topic: openings');
  berl.say('/join 0');
  await event(page, 'Berl joined');
  await command('/mute Berl 600');
  await event(page, 'Ada silenced Berl');
  await page.locator('#member-list .person', { hasText: 'Berl' }).getByText('muted').waitFor();
  berl.say('am I silent?');
  await berl.until('not sent: you may not speak');
  await command('/unmute Berl');
  await event(page, 'Ada let Berl speak again');
  berl.say('not any more');
  await heard(page, 'not any more');
  assert.equal(await message(page, 'am I silent?').count(), 0);
  await command('/role Berl moderator');
  await event(page, 'Ada made Berl moderator');
  await page.locator('#member-list .role.moderator').waitFor();
  await say(page, 'a slip of the tongue');
  await heard(page, 'a slip of the tongue');
  await command('/redact');
  await message(page, 'This message was taken back.').waitFor();
  assert.equal(await page.getByText('a slip of the tongue').count(), 0);
  await berl.until('took back');
  await command('/redact Berl');
  await event(page, 'Ada took back a message');
  await page.getByText('not any more').waitFor({ state: 'detached' });
  await shot(page, 'taken-back');
  await command('/kick Berl too loud');
  await event(page, 'Ada put Berl out: too loud');
  cora.say('/join 0');
  await event(page, 'Cora joined');
  await command('/ban Cora');
  await event(page, 'Ada banned Cora');
  cora.say('/join 0');
  await cora.until('banned');
  await command('/unban Cora');
  await event(page, 'Ada lifted the ban of Cora');
  cora.say('/join 0');
  await page.locator('.event', { hasText: 'Cora joined' }).nth(1).waitFor();
  await command('/leave');
  await page.locator('#room-list .entry', { hasText: 'Chess' }).waitFor({ state: 'detached' });
  await isIn(page, 'Lobby');
  await command('/rooms');
  await page.locator('dialog[data-name=join] .entry', { hasText: 'Chess' }).waitFor();
  await shot(page, 'rooms');
  await page.keyboard.press('Escape');
  await command('/join 0');
  await isIn(page, 'Chess');
  await command('/switch 0');

  // What cannot be is said in the room, and nothing is sent.
  await say(page, '/kick');
  await page.locator('.word', { hasText: 'Write /kick NICK [REASON]' }).waitFor();
  assert.equal(await page.locator('#text').inputValue(), '/kick');
  await say(page, '/dance');
  await page.locator('.word', { hasText: 'There is no command /dance' }).waitFor();
  assert.equal(await page.locator('#text').inputValue(), '/dance');
  await say(page, '/kick Nobody too loud');
  await page.locator('.word', { hasText: 'There is nobody of that name.' }).waitFor();
  assert.equal(await page.locator('#text').inputValue(), '/kick Nobody too loud');
  await say(page, '/msg Nobody between us');
  await page.locator('.word', { hasText: 'There is nobody of that name.' }).nth(1).waitFor();
  assert.equal(await page.locator('#text').inputValue(), '/msg Nobody between us');
  await say(page, '//slashed');
  await heard(page, '/slashed');

  await command('/password');
  await page.locator('dialog[data-name=password]').waitFor();
  await page.keyboard.press('Escape');
  await page.locator('dialog').waitFor({ state: 'detached' });
  await command('/quit');
  await page.locator('#nick:focus').waitFor();
  await berl.until('Ada (group 2) is gone');
  assert.deepEqual([...tried].sort(), [...new Set(listed)].sort());
  faultless(context);
});

test('a new password: who was in must learn it, and the old one opens nothing new', async () => {
  const { url } = await server();
  const [one, two] = [await window_(), await window_()];
  const adina = await person(one, url, 'Adina');
  await say(adina, '/create Vault');
  const create = adina.locator('dialog[data-name=create]');
  await create.getByText('Only people with the password').click();
  await create.locator('input[type=password]').fill('first');
  await create.getByRole('button', { name: 'Create' }).click();
  await isIn(adina, 'Vault');
  await say(adina, 'under the first');
  await heard(adina, 'under the first');
  const berl = await person(two, `${url}#/room/0`, 'Berl');
  const unlock = berl.locator('dialog[data-name=unlock]');
  const enter = async (password) => {
    await unlock.locator('input').fill(password);
    await unlock.getByRole('button', { name: 'Join' }).click();
  };
  await enter('first');
  await heard(berl, 'under the first');

  await say(adina, '/password');
  await adina.locator('dialog[data-name=password] input').fill('second');
  await adina.locator('dialog[data-name=password]').getByRole('button', { name: 'Change' }).click();
  await event(adina, 'Adina changed the password');
  await say(adina, 'under the second');
  await heard(adina, 'under the second');
  await event(berl, 'Adina changed the password');
  await berl.getByText('the key is missing').waitFor();
  assert.equal(await berl.getByText('under the second').count(), 0);
  await berl.getByRole('button', { name: 'Unlock' }).click();
  await enter('first');
  await unlock.getByRole('alert').filter({ hasText: 'Wrong password' }).waitFor();
  await enter('second');
  await heard(berl, 'under the second');
  await heard(berl, 'under the first');
  // A password that nobody knows any more locks what was said under it, and not the room.
  for (const word of ['third', 'fourth']) {
    await say(adina, '/password');
    await adina.locator('dialog[data-name=password] input').fill(word);
    await adina.locator('dialog[data-name=password]').getByRole('button', { name: 'Change' }).click();
    await adina.locator('dialog').waitFor({ state: 'detached' });
    await say(adina, `under the ${word}`);
    await heard(adina, `under the ${word}`);
  }
  await berl.getByText('the key is missing').nth(1).waitFor();
  await berl.getByRole('button', { name: 'Unlock' }).click();
  await enter('fourth');
  await heard(berl, 'under the fourth');
  await berl.locator('#warning').waitFor({ state: 'hidden' });
  assert.equal(await berl.getByText('the key is missing').count(), 1);
  // What was kept for reloading is the new key.
  await adina.reload();
  await adina.locator('#room-list .entry', { hasText: 'Vault' }).click();
  await heard(adina, 'under the fourth');
  await say(adina, 'and on');
  await heard(berl, 'and on');
  faultless(one, two);
});

test('the buttons beside a name', async () => {
  const { url, tcp } = await server();
  const context = await window_();
  const page = await person(context, url, 'Adina');
  await say(page, '/create Chess');
  await page.getByRole('dialog').getByRole('button', { name: 'Create' }).click();
  await isIn(page, 'Chess');
  const berl = await term(tcp, 'Berl', ['--room', '0']);
  await event(page, 'Berl joined');
  const press = async (name) => {
    await page.locator('#member-list .person', { hasText: 'Berl' }).click();
    await page.locator('dialog[data-name=person]').getByRole('button', { name, exact: true }).click();
  };
  await press('Silence');
  await event(page, 'Adina silenced Berl');
  await press('Let speak');
  await event(page, 'Adina let Berl speak again');
  await press('Make moderator');
  await event(page, 'Adina made Berl moderator');
  await press('Make ordinary member');
  await event(page, 'Adina made Berl member');
  await press('Mention');
  assert.equal(await page.locator('#text').inputValue(), 'Berl ');
  await page.locator('#text').fill('');
  // Taking back what another has said, by the mouse.
  berl.say('the wrong window');
  await heard(page, 'the wrong window');
  await message(page, 'the wrong window').hover();
  await page.getByRole('button', { name: 'Take back this message' }).click();
  await shot(page, 'take-back');
  await page.getByRole('dialog').getByRole('button', { name: 'Take back', exact: true }).click();
  await message(page, 'This message was taken back.').waitFor();
  await page.locator('dialog').waitFor({ state: 'detached' });
  await press('Put out');
  await event(page, 'Adina put Berl out');
  berl.say('/join 0');
  await page.locator('.event', { hasText: 'Berl joined' }).nth(1).waitFor();
  // A ban asks first, and can be lifted where it is told of.
  const ban = page.locator('dialog[data-name=ban]');
  await press('Ban…');
  await shot(page, 'ban');
  await ban.getByRole('button', { name: 'Cancel' }).click();
  assert.equal(await page.locator('.event', { hasText: 'banned' }).count(), 0);
  await press('Ban…');
  await ban.getByRole('textbox').fill('too loud');
  await ban.getByRole('button', { name: 'Ban', exact: true }).click();
  await event(page, 'Adina banned Berl: too loud');
  await berl.until('banned');
  await shot(page, 'banned');
  await page.getByRole('button', { name: 'Lift the ban' }).click();
  await event(page, 'Adina lifted the ban of Berl');
  await page.getByRole('button', { name: 'Lift the ban' }).waitFor({ state: 'detached' });
  // Another name, by the window of one's own.
  await page.locator('#me').click();
  await page.locator('dialog [name=nick]').fill('two words');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByRole('alert').filter({ hasText: 'A name has no spaces.' }).waitFor();
  await page.locator('dialog [name=nick]').fill('Ada');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.locator('#me .nick', { hasText: 'Ada' }).waitFor();
  // And out, by the door.
  await page.getByRole('button', { name: 'Leave this room' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Leave' }).click();
  await isIn(page, 'Lobby');
  await page.locator('#room-list .entry', { hasText: 'Chess' }).waitFor({ state: 'detached' });
  faultless(context);
});

test('somebody who is put out is told, and a room one is banned from is told, too', async () => {
  const { url, tcp } = await server();
  const context = await window_();
  const owner = await term(tcp, 'Olga', ['--create', '--name', 'Club']);
  await owner.until('room 0 created');
  const page = await person(context, `${url}#/room/0`, 'Adina');
  await isIn(page, 'Club');
  owner.say('/kick Adina');
  await page.locator('#notice', { hasText: 'You are no longer in Club.' }).waitFor();
  await isIn(page, 'Lobby');
  await say(page, '/join 0');
  await isIn(page, 'Club');
  owner.say('/ban Adina');
  await page.locator('#notice', { hasText: 'You were banned from Club.' }).waitFor();
  await say(page, '/join 0');
  await page.getByRole('dialog').getByText('You are banned from this room.').waitFor();
  faultless(context);
});

test('what is done to somebody is done to whoever wrote the message, whatever they are called by now', async () => {
  const { url, tcp } = await server();
  const context = await window_();
  const page = await person(context, url, 'Adina');
  await say(page, '/create Club');
  await page.getByRole('dialog').getByRole('button', { name: 'Create' }).click();
  await isIn(page, 'Club');
  const [rude, innocent] = [await term(tcp, 'Bob', ['--room', '0']), await term(tcp, 'Ivan', ['--room', '0'])];
  await event(page, 'Ivan joined');
  rude.say('something rude');
  await heard(page, 'something rude');
  rude.say('/nick Rob');
  await event(page, 'Bob is now Rob');
  innocent.say('/nick Bob');
  await event(page, 'Ivan is now Bob');
  await message(page, 'something rude').locator('.nick').click();
  const dialog = page.locator('dialog[data-name=person]');
  await dialog.getByRole('heading', { name: 'Rob' }).waitFor();
  await dialog.getByText('then called Bob').waitFor();
  await shot(page, 'called-otherwise');
  await dialog.getByRole('button', { name: 'Ban…' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Ban', exact: true }).click();
  await event(page, 'Adina banned Rob');
  await rude.until('banned');
  innocent.say('I am still here');
  await heard(page, 'I am still here');
  // More seconds than there can be are none, rather than few.
  await say(page, '/mute Bob 4294967298');
  await page.locator('.word', { hasText: 'Write /mute NICK [SECONDS]' }).waitFor();
  faultless(context);
});

test('who becomes a moderator can take back what others have said, at once', async () => {
  const { url, tcp } = await server();
  const owner = await term(tcp, 'Olga', ['--create', '--name', 'Club']);
  await owner.until('room 0 created');
  const berl = await term(tcp, 'Berl', ['--room', '0']);
  const context = await window_();
  const page = await person(context, `${url}#/room/0`, 'Adina');
  await isIn(page, 'Club');
  berl.say('the wrong window');
  await heard(page, 'the wrong window');
  assert.equal(await page.locator('.redact').count(), 0);
  owner.say('/role Adina moderator');
  await message(page, 'the wrong window').locator('.redact').waitFor({ state: 'attached' });
  faultless(context);
});

test('out of the lobby and in again, and what can be done from nowhere', async () => {
  const { url, tcp } = await server();
  const context = await window_();
  const berl = await term(tcp, 'Berl');
  const page = await person(context, url, 'Adina');
  const leave = async () => {
    await page.getByRole('button', { name: 'Leave this room' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Leave' }).click();
    await page.locator('#room-list .entry').waitFor({ state: 'detached' });
  };
  await leave();
  await shot(page, 'nowhere');
  // Nothing to be said to nobody; it stays to be said elsewhere.
  await say(page, 'hello?');
  await page.locator('.word', { hasText: 'You are not in this room.' }).waitFor();
  assert.equal(await page.locator('#text').inputValue(), 'hello?');
  await say(page, '/topic x');
  await page.locator('.word', { hasText: 'You are not in this room.' }).nth(1).waitFor();
  await say(page, '/help');
  await page.locator('.help').waitFor();
  await say(page, '/join lobby');
  await isIn(page, 'Lobby');
  await leave();
  // Who has left it is not led back by loading the page anew.
  await page.reload();
  await page.locator('#text:focus').waitFor();
  assert.equal(await page.locator('#room-list .entry').count(), 0);
  await page.getByRole('button', { name: 'Join', exact: true }).click();
  await page.locator('dialog[data-name=join] .entry', { hasText: 'Lobby' }).click();
  await isIn(page, 'Lobby');
  await leave();
  await page.evaluate(() => { location.hash = '#/lobby'; });
  await isIn(page, 'Lobby');
  await leave();
  await say(page, '/msg Berl between us');
  await isIn(page, 'Berl');
  await berl.until('Adina: between us');
  faultless(context);
});

test('a room with a shift asks for it before anybody is told, and a wrong one can be put right', async () => {
  const { url, tcp } = await server();
  const owner = await term(tcp, 'Olga', ['--create', '--name', 'Rome', '--cipher', 'caesar:3']);
  await owner.until('room 0 created');
  owner.say('ave');
  const context = await window_();
  const page = await person(context, url, 'Adina');
  const unlock = page.locator('dialog[data-name=unlock]');
  const away = async () => { await page.keyboard.press('Escape'); await page.locator('dialog').waitFor({ state: 'detached' }); };
  // By command, by the list, by number and by link: it is asked for, and who thinks better of it was never there.
  await say(page, '/join 0');
  await unlock.getByText('Shift').waitFor();
  await away();
  await page.getByRole('button', { name: 'Join', exact: true }).click();
  await page.locator('dialog .entry', { hasText: 'Rome' }).click();
  await unlock.getByText('Shift').waitFor();
  await away();
  await page.evaluate(() => { location.hash = '#/room/0'; });
  await unlock.getByText('Shift').waitFor();
  await away();
  await page.getByRole('button', { name: 'Join', exact: true }).click();
  await page.locator('dialog [name=number]').fill('0');
  await page.getByRole('dialog').getByRole('button', { name: 'Join' }).click();
  await unlock.getByText('Shift').waitFor();
  await shot(page, 'shift-before-joining');
  await unlock.locator('input').fill('5');
  await unlock.getByRole('button', { name: 'Join' }).click();
  await isIn(page, 'Rome');
  await heard(page, 'ytc');
  await page.getByRole('button', { name: 'Change the shift' }).click();
  await unlock.locator('input').fill('3');
  await unlock.getByRole('button', { name: 'Save' }).click();
  await heard(page, 'ave');
  await say(page, 'vale');
  await owner.until('Adina: vale');
  assert.equal(owner.lines.filter((line) => line.includes('Adina joined')).length, 1);
  assert.ok(!owner.lines.some((line) => line.includes('Adina left')));
  // There is no such group.
  await say(page, '/join 7');
  await page.getByRole('dialog').getByText('There is no such room.').waitFor();
  faultless(context);
});
