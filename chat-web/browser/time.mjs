// How long it takes until the page can be used, with nothing in the browser's cache: `CHAT_CLI=… node time.mjs [RUNS]`. No test: it asserts nothing.

import { browser, open, serve } from './harness.mjs';

const server = await serve();
const times = { name: [], message: [] };
for (let run = 0; run < Number(process.argv[2] ?? 9); run += 1) {
  const context = await browser();
  const page = await open(context, 'about:blank');
  await page.goto(server.url, { waitUntil: 'commit' });
  // What is typed is judged when the core is there. Times are the page's own, from the beginning of the navigation.
  const name = await page.waitForFunction((nick) => {
    const field = document.getElementById('nick');
    if (!field) return false;
    field.value = nick;
    field.dispatchEvent(new Event('input'));
    return document.getElementById('continue').checkVisibility() && performance.now();
  }, `Person${run}`);
  times.name.push(await name.jsonValue());
  const pressed = await page.evaluate(() => { document.getElementById('continue').click(); return performance.now(); });
  const message = await page.waitForFunction(() => document.activeElement?.id === 'text' && performance.now());
  times.message.push(await message.jsonValue() - pressed);
  await context.close();
}
await server.end('SIGTERM');
for (const [what, some] of Object.entries(times)) {
  some.sort((a, b) => a - b);
  console.log(`until a ${what} can be written: median ${some[some.length >> 1].toFixed(0)} ms, ${some[0].toFixed(0)} to ${some.at(-1).toFixed(0)} ms`);
}
