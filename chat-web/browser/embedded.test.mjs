// The page in somebody's own application, which knows who people are: the example program `axum` of chat-transport-ws.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Program, faultless, heard, open, say, shot, things } from './harness.mjs';

const { ends, window_ } = things();

test('who is known goes straight in, is shown who they are, and has no other name', async () => {
  const example = new Program(['127.0.0.1:0'], process.env.CHAT_AXUM);
  ends.push(() => example.end('SIGKILL'));
  const application = `http://${(await example.until('listening http ')).split(' ').at(-1)}`;
  const [one, two, three] = [await window_(), await window_(), await window_()];
  const adina = await open(one, `${application}/login/adina`);
  await adina.locator('#text:focus').waitFor();
  assert.equal(adina.url(), `${application}/chat/`);
  assert.equal(await adina.locator('#me .nick').textContent(), 'adina');
  assert.equal(await adina.locator('#me').isDisabled(), true);
  await say(adina, '/help');
  await adina.locator('.help').waitFor();
  assert.equal(await adina.locator('.help', { hasText: '/nick' }).count(), 0);
  await say(adina, '/nick berl');
  await adina.locator('.word', { hasText: 'There is no command /nick' }).waitFor();
  await shot(adina, 'known');
  const berl = await open(two, `${application}/login/berl`);
  await say(berl, 'good morning');
  await heard(adina, 'good morning');
  // The same person after reloading, and at another browser at the same time.
  await adina.reload();
  await heard(adina, 'good morning');
  const again = await open(three, `${application}/login/adina`);
  await say(again, 'from the other room');
  await heard(berl, 'from the other room');
  await heard(adina, 'from the other room');
  // Whoever leaves at one of them is still there at the other.
  await say(adina, '/quit');
  await adina.locator('#notice', { hasText: 'you have left' }).waitFor();
  await say(again, 'still here');
  await heard(berl, 'still here');
  assert.equal(await berl.locator('.event', { hasText: 'adina left' }).count(), 0);
  // Leaving leaves; it does not come back by itself.
  await say(again, '/quit');
  await again.locator('#notice', { hasText: 'you have left' }).waitFor();
  await berl.locator('.event', { hasText: 'adina left' }).waitFor();
  // Nor by loading the page anew, although one is known; only by asking for it.
  await again.reload();
  const enter = again.getByRole('button', { name: 'Continue' });
  await enter.waitFor();
  assert.equal(await again.locator('#chat').isVisible(), false);
  await enter.click();
  await heard(again, 'good morning');
  await again.reload();
  await heard(again, 'good morning');
  faultless(one, two, three);
});

test('who is known by a name that the chat cannot have is told so in words', async () => {
  const example = new Program(['127.0.0.1:0'], process.env.CHAT_AXUM);
  ends.push(() => example.end('SIGKILL'));
  const application = `http://${(await example.until('listening http ')).split(' ').at(-1)}`;
  const [one, two, three, four] = [await window_(), await window_(), await window_(), await window_()];
  const adina = await open(one, `${application}/login/adina`);
  await adina.locator('#text:focus').waitFor();
  const other = await open(two, `${application}/login/%23x`);
  await other.getByRole('alert').filter({ hasText: 'a name that cannot be used in the chat' }).waitFor();
  assert.equal(await other.getByRole('button', { name: 'Continue' }).isVisible(), false);
  await shot(other, 'known-invalid');
  // One that is taken may be free later.
  const same = await open(three, `${application}/login/Adina`);
  await same.getByRole('alert').filter({ hasText: 'Somebody in the chat has the name' }).waitFor();
  await say(adina, '/quit');
  await adina.locator('#notice', { hasText: 'you have left' }).waitFor();
  await same.getByRole('button', { name: 'Continue' }).click();
  await same.locator('#me .nick', { hasText: 'Adina' }).waitFor();
  // The application can see to it that a name is one.
  const spaced = await open(four, `${application}/login/a%20b`);
  await spaced.locator('#me .nick', { hasText: 'a-b' }).waitFor();
  faultless(one, two, three, four);
});

test('who may not come in is told so, and may try again', async () => {
  const example = new Program(['127.0.0.1:0'], process.env.CHAT_AXUM);
  ends.push(() => example.end('SIGKILL'));
  const application = `http://${(await example.until('listening http ')).split(' ').at(-1)}`;
  const context = await window_();
  const page = await open(context, `${application}/chat/`);
  await page.getByRole('alert').filter({ hasText: 'does not let you in' }).waitFor();
  assert.equal(await page.locator('#nick').isVisible(), false);
  await shot(page, 'known-refused');
  await context.addCookies([{ name: 'user', value: 'adina', url: application }]);
  await page.getByRole('button', { name: 'Continue' }).click();
  await page.locator('#me .nick', { hasText: 'adina' }).waitFor();
  faultless(context);
});
