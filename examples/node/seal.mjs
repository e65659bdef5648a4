// Verifies a chain of devices, opens a room key and messages, as docs/seal.md says, without a library:
// node seal.mjs FOLDER, where the folder is chat-seal/vectors. The chains are those of new members.

import { createDecipheriv, createHash, createHmac, createPrivateKey, createPublicKey, diffieHellman, verify } from 'node:crypto';
import { readFileSync } from 'node:fs';

const hex = (text) => Buffer.from(text, 'hex');
const join = (...parts) => Buffer.concat(parts.map((part) => Buffer.from(part)));
const int = (number, bytes) => hex(number.toString(16).padStart(2 * bytes, '0'));
const hmac = (key, ...parts) => createHmac('sha256', key).update(join(...parts)).digest();
const framed = (domain, ...parts) => join([domain.length], domain, ...parts);
const hash = (domain, ...parts) => createHash('sha256').update(framed(domain, ...parts)).digest();
const expand = (key, bytes, ...info) => hmac(key, ...info, [1]).subarray(0, bytes);
const hkdf = (secret, ...info) => expand(hmac(Buffer.alloc(32), secret), 32, ...info);
const der = (prefix, key) => ({ key: join(hex(prefix), key), format: 'der', type: prefix.startsWith('302e') ? 'pkcs8' : 'spki' });
const dh = (secret, key) => diffieHellman({
  privateKey: createPrivateKey(der('302e020100300506032b656e04220420', secret)),
  publicKey: createPublicKey(der('302a300506032b656e032100', key)),
});

function signed(key, domain, signature, ...parts) {
  const ed25519 = createPublicKey(der('302a300506032b6570032100', key));
  if (!verify(null, framed(domain, ...parts), ed25519, signature)) throw new Error(`not signed: ${domain}`);
}

function reader(bytes) {
  let at = 0;
  const take = (count) => bytes.subarray(at, (at += count));
  const number = () => {
    for (let sum = 0, low = 1; ; low *= 128) {
      const [byte] = take(1);
      sum += (byte % 128) * low;
      if (byte < 128) return sum;
    }
  };
  const bytesOf = () => take(number());
  const maybe = (read) => (take(1)[0] ? read() : undefined);
  const list = (read) => Array.from({ length: number() }, read);
  return { take, number, bytes: bytesOf, shape: () => reader(bytesOf()), maybe, list };
}

/** A chain of one entry: the member, its device and what that signs with. */
function begin([{ body, signature, possession }]) {
  const entry = reader(hex(body));
  const [counter, prev, , kind] = [entry.number(), entry.maybe(() => entry.take(32)), entry.number(), entry.number()];
  if (counter !== 1 || prev || kind !== 1) throw new Error('no beginning of a chain');
  const change = entry.shape();
  const [account] = [change.take(32), change.take(64)];
  const device = change.shape();
  const [sign, open] = [device.take(32), device.take(32)];
  signed(account, 'chat.v1 device chain', hex(signature), hex(body));
  signed(sign, 'chat.v1 possession', hex(possession), hex(body));
  const member = hash('chat.v1 member', hex(body)).subarray(0, 16);
  member[0] &= 127;
  return { member, sign, device: hash('chat.v1 device', sign, open).subarray(0, 16), head: hash('chat.v1 chain head', hex(body)) };
}

function aead(key, nonce, sealed, aad = Buffer.alloc(0)) {
  const cipher = createDecipheriv('chacha20-poly1305', key, nonce, { authTagLength: 16 });
  cipher.setAAD(aad, { plaintextLength: sealed.length - 16 }).setAuthTag(sealed.subarray(-16));
  return join(cipher.update(sealed.subarray(0, -16)), cipher.final());
}

/** HPKE, base mode: the secret half of the key, what was encapsulated, what it is bound to. */
function hpke(secret, enc, info, sealed) {
  const [kem, suite] = [join('KEM', [0, 32]), join('HPKE', [0, 32, 0, 1, 0, 3])];
  const extract = (of, salt, label, ikm) => hmac(salt, 'HPKE-v1', of, label, ikm);
  const labelled = (of, prk, label, context, bytes) => expand(prk, bytes, int(bytes, 2), 'HPKE-v1', of, label, context);
  const nothing = Buffer.alloc(32);
  const own = dh(secret, join([9], Buffer.alloc(31)));
  const shared = labelled(kem, extract(kem, nothing, 'eae_prk', dh(secret, enc)), 'shared_secret', join(enc, own), 32);
  const schedule = join([0], extract(suite, nothing, 'psk_id_hash', ''), extract(suite, nothing, 'info_hash', info));
  const prk = extract(suite, shared, 'secret', '');
  return aead(labelled(suite, prk, 'key', schedule, 32), labelled(suite, prk, 'base_nonce', schedule, 12), sealed);
}

function xchacha(key, data, aad) {
  const words = new Uint32Array(16);
  join('expand 32-byte k', key, data.subarray(0, 16)).forEach((byte, at) => { words[at >> 2] |= byte << (8 * (at % 4)); });
  const add = (a, b, c, turn) => {
    words[a] += words[b];
    const mixed = words[c] ^ words[a];
    words[c] = (mixed << turn) | (mixed >>> (32 - turn));
  };
  for (let round = 0; round < 20; round += 1) {
    for (let column = 0; column < 4; column += 1) {
      const [a, b, c, d] = [0, 1, 2, 3].map((row) => 4 * row + ((column + (round % 2) * row) % 4));
      add(a, b, d, 16), add(c, d, b, 12), add(a, b, d, 8), add(c, d, b, 7);
    }
  }
  const subkey = Buffer.alloc(32);
  [0, 1, 2, 3, 12, 13, 14, 15].forEach((word, at) => subkey.writeUInt32LE(words[word], 4 * at));
  return aead(subkey, join([0, 0, 0, 0], data.subarray(16, 24)), data.subarray(24), aad);
}

const cases = (file) => JSON.parse(readFileSync(`${process.argv[2]}/${file}`, 'utf8')).cases;

for (const given of cases('key_record.json')) {
  const author = begin(given.chain);
  signed(author.sign, 'chat.v1 room key', hex(given.signature), hex(given.body));
  const body = reader(hex(given.body));
  const [, origin, epoch, commitment] = [body.number(), body.take(16), body.number(), body.take(32)];
  body.maybe(() => body.take(16)), body.take(32), body.number(), body.take(8), body.number(), body.number(), body.number();
  const wraps = body.list(() => {
    const to = body.shape();
    to.take(16), to.number(), to.take(8);
    return to.list(() => [to.take(16), to.take(32), to.take(48)]);
  });
  const [to, enc, sealed] = wraps.flat().find(([device]) => device.equals(author.device));
  const place = join(origin, int(epoch, 8));
  const info = join(framed('chat.v1 wrap', place, commitment.subarray(0, 16), author.member, author.device, to));
  const key = hpke(hex(given.device_dh_secret), enc, info, sealed);
  if (!hkdf(key, 'chat.v1 key id', place).equals(commitment)) throw new Error('another key');
  console.log('key', key.toString('hex'));
}

for (const given of cases('message.json')) {
  const author = begin(given.chain);
  const target = given.target ? join(hex(given.target), int(given.target_session, 8), int(given.target_txn, 8)) : Buffer.alloc(32);
  const blobs = given.blobs.map(hex);
  const aad = join([2], hex(given.origin), hex(given.key_id), author.member, author.device, int(given.session, 8), int(given.txn, 8),
    int(given.kind, 2), target, int(blobs.length, 2), ...blobs.flatMap((blob) => [int(blob.length, 2), blob]));
  const key = hkdf(hex(given.key), 'chat.v1 key message', hex(given.origin), int(given.epoch, 8));
  const plain = xchacha(key, hex(given.data), aad);
  const nick = 34 + plain[33];
  const [before, signature, behind] = [plain.subarray(0, nick), plain.subarray(nick, nick + 64), plain.subarray(nick + 64)];
  if (!before.subarray(1, 17).equals(join(int(1, 8), author.head.subarray(0, 8)))) throw new Error('another chain');
  signed(author.sign, 'chat.v1 message', signature, aad, before, behind);
  console.log(`${before.subarray(34)}: ${behind.subarray(0, behind.lastIndexOf(0x80))}`);
}
