import assert from 'node:assert/strict';
import { test } from 'node:test';
import { begunMention, composes, mentions } from '../../page/js/typing.js';

test('a key of an input method is told by either sign', () => {
  assert.equal(composes({ isComposing: true, keyCode: 13 }), true);
  assert.equal(composes({ isComposing: false, keyCode: 229 }), true);
  assert.equal(composes({ isComposing: false, keyCode: 13 }), false);
});

test('a bare name stands alone', () => {
  for (const [text, is] of [['Maya, look', true], ['for MAYA', true], ['Mayas', false], ['amaya', false], ['maya_', false], ['', false], ['𐐨maya', false], ['maya\u0301', false], ['תודה מאיה', false]]) {
    assert.equal(mentions(text, 'Maya'), is, text);
  }
  assert.equal(mentions('תודה, מאיה!', 'מאיה'), true);
});

test('behind @ the longest name that begins what follows is meant', () => {
  const names = ['太郎', '太郎丸', 'Al', 'Alice', 'Maya'];
  for (const [text, nick, is] of [
    ['@太郎さん、見て', '太郎', true],
    ['ねえ@太郎さん', '太郎', true],
    ['@太郎丸さん', '太郎', false],
    ['@太郎丸さん', '太郎丸', true],
    ['@太郎丸と@太郎さん', '太郎', true],
    ['@Alice look', 'Al', false],
    ['@Alice look', 'Alice', true],
    ['@MAYA: look', 'Maya', true],
    ['mail maya@maya.example', 'Maya', false],
  ]) assert.equal(mentions(text, nick, names), is, `${text} for ${nick}`);
});

test('names that are written in other ways are the same', () => {
  assert.equal(mentions('@Zoe\u0308', 'Zoë', ['Zoë']), true);
});

test('a mention that is begun', () => {
  for (const [before, is] of [['@', ''], ['hi @Ma', 'Ma'], ['ねえ@太', '太'], ['maya@ex', null], ['@Maya and', null], ['none', null]]) {
    assert.equal(begunMention(before), is, before);
  }
});
