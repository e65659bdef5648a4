// A closed house: an invitation leads in, once, and whoever was in is known.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Program, faultless, open, things } from './harness.mjs';

const { server, window_, folder } = things();

/** Tries to come in, under a name. */
async function comes(page, nick) {
  await page.locator('#start-form [name=nick]').fill(nick);
  await page.locator('#continue').click();
  return page;
}

test('whoever has an invitation comes in, and nobody else who is new', async () => {
  const data = folder();
  const { url } = await server(['--invite-only', '--data', data]);
  const invite = new Program(['invite', '--data', data]);
  const link = await invite.until(`${url}#k=`);
  const [adina, berl] = [await window_(), await window_()];
  const stranger = await comes(await open(berl, url), 'Berl');
  await stranger.locator('#start-note', { hasText: 'by invitation only' }).waitFor();
  const page = await comes(await open(adina, link), 'Adina');
  await page.locator('#text').waitFor();
  assert.equal(new URL(page.url()).hash, '', 'nobody reads it off the address');
  // A link that is followed in an open page begins it anew.
  const begun = stranger.waitForEvent('load');
  await stranger.evaluate((url) => { location.href = url; }, link);
  await begun;
  const late = await comes(stranger, 'Berl');
  await late.locator('#start-note', { hasText: 'invitation is over' }).waitFor();
  // Another tab has no link, and its person is known.
  const tab = await adina.newPage();
  await tab.goto(url);
  await comes(tab, 'Adina');
  await tab.locator('#text').waitFor();
  faultless(adina, berl);
});
