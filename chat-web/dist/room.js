export const LOBBY = 'AAAAAAAAAAAAAAAAAAAAAA==';
export const isSaid = (shown) => shown.record.kind === 'message' || shown.record.kind === 'action';
export class Room {
constructor(view) {
this.view = view;
this.items = [];
this.pending = [];
this.here = new Map();
this.members = new Map();
this.count = null;
this.unread = 0;
this.mentioned = false;
this.oldest = null;
this.loading = false;
this.generation = 0;
this.missed = null;
this.draft = '';
this.out = null;
this.readTo = 0;
}
get id() { return this.view.room; }
get sealed() { return this.view.cipher === 'room_password' || this.view.cipher === 'static_key'; }
get insecure() { return this.view.cipher === 'caesar'; }
get locked() {
return this.lacksKey === true || this.items.findLast(({ shown }) => isSaid(shown))?.shown.unreadable === 'no_key';
}
*nicks() {
for (const people of [this.members, this.here]) for (const { nick } of people.values()) yield nick;
}
get newest() { return this.items.at(-1)?.shown.record.seq ?? 0; }
get hasMore() {
if (this.oldest === null) return true;
return this.oldest !== 0 && (this.items[0]?.shown.record.seq ?? Infinity) > this.oldest;
}
}
