// A room as the page knows it: what was said there, what is on its way, who is there.

/**
 * @typedef {import('./types.js').RoomView} RoomView
 * @typedef {import('./types.js').Shown} Shown
 * @typedef {import('./types.js').Person} Person
 */

/** The lobby's id: 16 zero bytes. */
export const LOBBY = 'AAAAAAAAAAAAAAAAAAAAAA==';

/**
 * Something that is shown in a room: a record, a message on its way, or a word of this page.
 * `seam`: something may have been missed after it. `after`: how far the room was known when the message was written; `seq`: the record
 * that it has become.
 * @typedef {{ shown: Shown, seam?: boolean }} RecordItem
 * @typedef {{
 *   text: string, plain: string, action: boolean, time: number, state: 'queued' | 'pending' | 'sent' | 'failed' | 'unknown', why: string,
 *   after: import('./types.js').Place, seq: number | null, asked?: boolean
 * }} PendingItem `queued`: there was no connection since it was written, so it was never sent. `asked`: the core has it.
 */

/** Whether a record is something said. @param {Shown} shown */
export const isSaid = (shown) => shown.record.kind === 'message' || shown.record.kind === 'action';

export class Room {
  /** @param {RoomView} view */
  constructor(view) {
    this.view = view;
    /** @type {RecordItem[]} in order */
    this.items = [];
    /** @type {PendingItem[]} */
    this.pending = [];
    /** @type {Map<string, Person>} */
    this.here = new Map();
    /** Members, for their roles. @type {Map<string, import('./types.js').MemberInfo>} */
    this.members = new Map();
    /** @type {number | null} */
    this.count = null;
    this.unread = 0;
    this.mentioned = false;
    /** The number of the oldest record there is to read; none before the first page has come. @type {number | null} */
    this.oldest = null;
    this.loading = false;
    /** Counts how often the room was begun anew: what was asked before that is of no use. */
    this.generation = 0;
    /** Where one was before it was begun anew, for whether something was missed. @type {{ epoch: number, seq: number, at: number } | null} */
    this.missed = null;
    this.draft = '';
    /** Why one is not in it any more; it is kept for what was written in it. @type {string | null} */
    this.out = null;
    /** Where one stopped reading. */
    this.readTo = 0;
  }

  get id() { return this.view.room; }
  get sealed() { return this.view.cipher === 'room_password' || this.view.cipher === 'static_key'; }
  get insecure() { return this.view.cipher === 'caesar'; }
  /** The latest could not be opened for want of a key. What is older may have a key that nobody knows any more. */
  get locked() {
    return this.lacksKey === true || this.items.findLast(({ shown }) => isSaid(shown))?.shown.unreadable === 'no_key';
  }
  /** Of all who may be meant in it. */
  *nicks() {
    for (const people of [this.members, this.here]) for (const { nick } of people.values()) yield nick;
  }
  get newest() { return this.items.at(-1)?.shown.record.seq ?? 0; }
  /** Whether there may be more above. */
  get hasMore() {
    if (this.oldest === null) return true;
    return this.oldest !== 0 && (this.items[0]?.shown.record.seq ?? Infinity) > this.oldest;
  }
}
