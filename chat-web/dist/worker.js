import { initSync, run_work } from './chat_web_client.js';
onmessage = ({ data: { module, bytes } }) => {
initSync({ module });
const done = run_work(bytes);
postMessage(done, { transfer: [done.buffer] });
};
