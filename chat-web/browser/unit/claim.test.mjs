import assert from 'node:assert/strict';
import { after, test } from 'node:test';

// Neither a time limit nor an open channel decides when Node has done all.
const alive = setInterval(() => {}, 1_000);
after(() => clearInterval(alive));
globalThis.BroadcastChannel = class extends BroadcastChannel {
  constructor(name) { super(name); this.unref(); }
};

/** A page of its own: each import is one. */
let pages = 0;
const page = async () => (await import(`../../page/js/claim.js?${pages += 1}`)).claim;

/** Locks as browsers have them, shared by all pages: whoever asks waits until it is its turn. */
function locks() {
  const held = new Set();
  return {
    async request(name, { signal }, act) {
      if (held.has(name)) await new Promise((_, reject) => { signal.onabort = () => reject(signal.reason); });
      held.add(name);
      await act();
    },
    held,
  };
}

for (const [where, has] of [['with locks', true], ['on plain HTTP, without locks', false]]) {
  test(`one page alone goes on with a session, ${where}`, async () => {
    Object.defineProperty(globalThis, 'navigator', { value: has ? { locks: locks() } : {}, configurable: true });
    const session = 1 + pages;
    const [one, other] = [await page(), await page()];
    assert.equal(await one(session), true);
    assert.equal(await one(session), true, 'it has it');
    assert.equal(await other(session), false);
    assert.equal(await other(session + 1), true);
    // What is fresh is held at once.
    one(session + 2, true);
    assert.equal(await other(session + 2), false);
  });
}

test('of two pages that ask at the same time, one goes on', async () => {
  Object.defineProperty(globalThis, 'navigator', { value: {}, configurable: true });
  for (let session = 100; session < 103; session += 1) {
    const [one, other] = [await page(), await page()];
    const mine = await Promise.all([one(session), other(session)]);
    assert.deepEqual(mine.toSorted(), [false, true]);
  }
});

test('where nothing can be asked, a page goes on', async () => {
  const { BroadcastChannel } = globalThis;
  Object.defineProperty(globalThis, 'navigator', { value: {}, configurable: true });
  globalThis.BroadcastChannel = undefined;
  assert.equal(await (await page())(7), true);
  globalThis.BroadcastChannel = BroadcastChannel;
  const locks = { request: () => Promise.reject(new DOMException('', 'SecurityError')) };
  Object.defineProperty(globalThis, 'navigator', { value: { locks }, configurable: true });
  assert.equal(await (await page())(7), true);
});
