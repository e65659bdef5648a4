// Stretches one password (Argon2id: 64 MiB, some tenths of a second), so that the page does not stand still meanwhile.

import { initSync, run_work } from './chat_web_client.js';

onmessage = ({ data: { module, bytes } }) => {
  initSync({ module });
  const done = run_work(bytes);
  postMessage(done, { transfer: [done.buffer] });
};
