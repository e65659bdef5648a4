// What a link to this page says behind its `#`: the server's key, and an invitation.

import { keepLink, link } from './store.js';

/** Parts of a link, `k=…&i=…`, and not a room of this page. */
const PARTS = /^#(?:\w+=[\w-]*(?:&|$))+$/;

/**
 * What was said there. It is taken out of the address, where others would see it, and the browser remember it; loading the page anew in
 * this tab finds it again.
 * @returns {string}
 */
export function linked() {
  const { hash, pathname, search } = location;
  if (PARTS.test(hash)) {
    keepLink(hash.slice(1));
    history.replaceState(history.state, '', pathname + search);
  }
  return link();
}

// A link that is followed while the page is open changes what stands behind the `#`, and nothing else: the page begins anew with it.
addEventListener('hashchange', () => {
  if (!PARTS.test(location.hash)) return;
  linked();
  location.reload();
});
