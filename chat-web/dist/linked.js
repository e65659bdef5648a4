import { keepLink, link } from './store.js';
const PARTS = /^#(?:\w+=[\w-]*(?:&|$))+$/;
export function linked() {
const { hash, pathname, search } = location;
if (PARTS.test(hash)) {
keepLink(hash.slice(1));
history.replaceState(history.state, '', pathname + search);
}
return link();
}
addEventListener('hashchange', () => {
if (!PARTS.test(location.hash)) return;
linked();
location.reload();
});
