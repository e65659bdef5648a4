// The shapes that the core tells, for whoever reads the page's code. They are the protocol's JSON forms; identifiers are base64.

/**
 * @typedef {{ member: string, nick: string, label: string }} Person
 * @typedef {{ epoch: number, seq: number }} Place
 * @typedef {{
 *   room: string, kind: 'lobby' | 'group' | 'private', number: number | null, name: string | null, peer: Person | null,
 *   topic: string, cipher: 'none' | 'caesar' | 'static_key' | 'room_password', key: string | null, history: 'all' | 'since_joined',
 *   presence: 'full' | 'count' | 'off', place: Place, since: number, role: 'member' | 'moderator' | 'owner', members: number,
 *   credential: string | null, standing: 'member' | 'invited', peer_standing: 'member' | 'invited' | null
 * }} RoomView
 * @typedef {{
 *   seq: number, time: number, member: string, nick: string, label: string, session: number, txn: number, kind: string | number, body: any
 * }} ChatRecord
 * @typedef {{ record: ChatRecord, text: string | null, unreadable: string | null }} Shown
 * @typedef {{ member: string, nick: string, label: string, role: string, here: boolean, muted: boolean }} MemberInfo
 * @typedef {{
 *   room: string, number: number, name: string | null, topic: string, cipher: string, protected: boolean, members: number
 * }} RoomInfo
 * @typedef {{ code: string, text: string, cipher: string | null, failure: { retry_after: number | null } | null }} Failed
 * @typedef {{ event: string, [field: string]: any }} CoreEvent
 */

export {};
