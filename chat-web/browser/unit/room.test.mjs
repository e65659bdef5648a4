import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Room } from '../../page/js/room.js';

/** A room with these records: what kept each from being read, or its kind if it is nothing said. */
function room(...all) {
  const it = new Room({ room: 'AAAA', cipher: 'room_password' });
  it.items = all.map((each) => ({
    shown: { record: { kind: each === 'password' ? 'password' : 'message' }, text: each ? null : 'text', unreadable: each === 'password' ? null : each },
  }));
  return it;
}

test('a room is locked if the latest that was said there needs a key', () => {
  assert.equal(room().locked, false);
  assert.equal(room(null).locked, false);
  assert.equal(room(null, 'no_key').locked, true);
  assert.equal(room(null, 'no_key', 'password').locked, true);
  assert.equal(room('altered').locked, false);
});

test('a room is locked as long as one cannot speak there', () => {
  const it = room(null);
  it.lacksKey = true;
  assert.equal(it.locked, true);
});

test('after eighteen changes of the password nobody can read the first message any more, and the room is not locked', () => {
  const changes = Array.from({ length: 18 }, () => ['password', null]).flat();
  assert.equal(room('no_key', ...changes).locked, false);
});
