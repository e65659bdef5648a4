import assert from 'node:assert/strict';
import { test } from 'node:test';

const storage = () => {
  const kept = new Map();
  return { getItem: (key) => kept.get(key) ?? null, setItem: (key, value) => kept.set(key, value), removeItem: (key) => kept.delete(key) };
};
globalThis.sessionStorage = storage();
globalThis.localStorage = storage();
/** @type {Record<string, () => void>} */
const heard = {};
globalThis.addEventListener = (what, act) => { heard[what] = act; };
globalThis.history = { state: null, replaceState(_, __, url) { globalThis.location.hash = ''; globalThis.location.url = url; } };
globalThis.location = { pathname: '/chat/', search: '', hash: '', url: '', reloads: 0, reload() { this.reloads += 1; } };

const { linked } = await import('../../page/js/linked.js');

test('what a link says is taken out of the address, and found again', () => {
  const parts = 'k=AAECAwQFBgcICQoLDA0ODw&i=8PHy8_T19vf4-fr7_P3-_w';
  assert.equal(linked(), '');
  location.hash = `#${parts}`;
  assert.equal(linked(), parts);
  assert.equal(location.url, '/chat/');
  assert.equal(linked(), parts, 'after loading the page anew');
  location.hash = '#i=8PHy8_T19vf4-fr7_P3-_w';
  assert.equal(linked(), 'i=8PHy8_T19vf4-fr7_P3-_w', 'the newest link counts');
});

test('a link to a room is none of an invitation', () => {
  for (const hash of ['#/room/3', '#/lobby', '#', '#k', '#k=1 2']) {
    location.hash = hash;
    location.url = '';
    linked();
    assert.equal(location.url, '', hash);
  }
});

test('a link that is followed in an open page begins it anew', () => {
  location.hash = '#/room/3';
  heard.hashchange();
  assert.equal(location.reloads, 0);
  location.hash = '#i=AAECAwQFBgcICQoLDA0ODw';
  heard.hashchange();
  assert.equal(location.reloads, 1);
  assert.equal(linked(), 'i=AAECAwQFBgcICQoLDA0ODw');
});
