import assert from 'node:assert/strict';
import { test } from 'node:test';
import { day, daysAgo, group, isTime, nextDay, stamp } from '../../page/js/timeline.js';

/** As a reader there would see it. */
function inZone(zone, act) {
  const before = process.env.TZ;
  process.env.TZ = zone;
  try { return act(); } finally { if (before === undefined) delete process.env.TZ; else process.env.TZ = before; }
}

test('days are those of the reader\'s zone', () => {
  const time = Date.UTC(2026, 10, 29, 22, 30);
  assert.equal(inZone('UTC', () => day(time)), '2026-11-29');
  assert.equal(inZone('Asia/Jerusalem', () => day(time)), '2026-11-30');
  assert.equal(inZone('America/Los_Angeles', () => day(time)), '2026-11-29');
});

test('a time carries its zone', () => {
  const time = Date.UTC(2026, 10, 29, 22, 30, 5);
  assert.equal(inZone('Asia/Jerusalem', () => stamp(time)), '2026-11-30T00:30:05+02:00');
  assert.equal(inZone('America/St_Johns', () => stamp(time)), '2026-11-29T19:00:05-03:30');
  for (const zone of ['UTC', 'Asia/Kathmandu', 'America/Los_Angeles']) {
    assert.equal(inZone(zone, () => new Date(stamp(time)).getTime()), time, zone);
  }
});

test('midnights are counted, not hours, also where a day has 23 or 25', () => {
  inZone('Europe/Berlin', () => {
    const late = new Date(2026, 9, 24, 23, 59).getTime();
    assert.equal(daysAgo(late, late), 0);
    assert.equal(daysAgo(late, late + 120_000), 1);
    // The clocks go back in the night to the 25th.
    assert.equal(daysAgo(late, new Date(2026, 9, 26, 0, 1).getTime()), 2);
    assert.equal(nextDay(new Date(2026, 9, 25, 0, 0).getTime()), new Date(2026, 9, 26).getTime());
    assert.equal(day(nextDay(late)), '2026-10-25');
  });
});

test('a time that is no date does no harm', () => {
  for (const time of [8.65e15, -8.65e15, Number.NaN, 2 ** 64]) {
    assert.equal(isTime(time), false);
    assert.deepEqual([day(time), stamp(time)], ['', '']);
  }
  assert.equal(isTime(8.6e15), true);
});

/** The sizes that messages reach in their groups; each is `[minutes, member, kind]`. */
function sizes(all) {
  let before = null;
  return all.map(([minutes, member = 'a', kind = 'message']) => {
    const record = { member, nick: member, kind, time: Date.UTC(2026, 0, 1, 12) + minutes * 60_000 };
    const its = group(before, record);
    before = { record, group: its };
    return its.size;
  });
}

test('a group ends five minutes after it began, however soon each follows', () => {
  assert.deepEqual(sizes([[0], [2], [4], [4.9], [5], [6]]), [1, 2, 3, 4, 1, 2]);
});

test('a group ends after ten messages', () => {
  assert.deepEqual(sizes(Array.from({ length: 12 }, (_, at) => [at / 60])), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 1, 2]);
});

test('a group is of one person who speaks', () => {
  assert.deepEqual(sizes([[0], [0, 'b'], [0, 'b'], [0, 'b', 'action'], [0, 'b']]), [1, 1, 2, 1, 1]);
});

test('midnight ends a group', () => {
  inZone('Asia/Jerusalem', () => {
    const said = (time) => ({ member: 'a', nick: 'a', kind: 'message', time });
    const first = said(Date.UTC(2026, 10, 29, 21, 59));
    const its = group(null, first);
    assert.equal(group({ record: first, group: its }, said(Date.UTC(2026, 10, 29, 22, 1))).size, 1);
  });
});
