export class Step {
static __wrap(ptr) {
const obj = Object.create(Step.prototype);
obj.__wbg_ptr = ptr;
StepFinalization.register(obj, obj.__wbg_ptr, obj);
return obj;
}
__destroy_into_raw() {
const ptr = this.__wbg_ptr;
this.__wbg_ptr = 0;
StepFinalization.unregister(this);
return ptr;
}
free() {
const ptr = this.__destroy_into_raw();
wasm.__wbg_step_free(ptr, 0);
}
bytes() {
try {
const retptr = wasm.__wbindgen_add_to_stack_pointer(-16) >>> 0;
wasm.step_bytes(retptr, this.__wbg_ptr);
var r0 = getDataViewMemory0().getInt32(retptr + 4 * 0, true);
var r1 = getDataViewMemory0().getInt32(retptr + 4 * 1, true);
let v1;
if (r0 !== 0) {
v1 = getArrayU8FromWasm0(r0, r1).slice();
wasm.__wbindgen_export3(r0, r1 * 1, 1);
}
return v1;
} finally {
wasm.__wbindgen_add_to_stack_pointer(16);
}
}
event() {
try {
const retptr = wasm.__wbindgen_add_to_stack_pointer(-16) >>> 0;
wasm.step_event(retptr, this.__wbg_ptr);
var r0 = getDataViewMemory0().getInt32(retptr + 4 * 0, true);
var r1 = getDataViewMemory0().getInt32(retptr + 4 * 1, true);
let v1;
if (r0 !== 0) {
v1 = getStringFromWasm0(r0, r1);
wasm.__wbindgen_export3(r0, r1 * 1, 1);
}
return v1;
} finally {
wasm.__wbindgen_add_to_stack_pointer(16);
}
}
get what() {
let deferred1_0;
let deferred1_1;
try {
const retptr = wasm.__wbindgen_add_to_stack_pointer(-16) >>> 0;
wasm.step_what(retptr, this.__wbg_ptr);
var r0 = getDataViewMemory0().getInt32(retptr + 4 * 0, true);
var r1 = getDataViewMemory0().getInt32(retptr + 4 * 1, true);
deferred1_0 = r0;
deferred1_1 = r1;
return getStringFromWasm0(r0, r1);
} finally {
wasm.__wbindgen_add_to_stack_pointer(16);
wasm.__wbindgen_export3(deferred1_0, deferred1_1, 1);
}
}
}
if (Symbol.dispose) Step.prototype[Symbol.dispose] = Step.prototype.free;
export class WebClient {
__destroy_into_raw() {
const ptr = this.__wbg_ptr;
this.__wbg_ptr = 0;
WebClientFinalization.unregister(this);
return ptr;
}
free() {
const ptr = this.__destroy_into_raw();
wasm.__wbg_webclient_free(ptr, 0);
}
block(now, room, blocked) {
try {
const retptr = wasm.__wbindgen_add_to_stack_pointer(-16) >>> 0;
const val2 = +now;
const val3 = +blocked;
const ptr0 = passStringToWasm0(room, wasm.__wbindgen_export, wasm.__wbindgen_export2);
const len0 = WASM_VECTOR_LEN;
wasm.webclient_block(retptr, this.__wbg_ptr, val2, ptr0, len0, val3);
var r0 = getDataViewMemory0().getFloat64(retptr + 8 * 0, true);
var r2 = getDataViewMemory0().getInt32(retptr + 4 * 2, true);
var r3 = getDataViewMemory0().getInt32(retptr + 4 * 3, true);
if (r3) {
throw takeFromExternrefTable0(r2);
}
return r0;
} finally {
wasm.__wbindgen_add_to_stack_pointer(16);
}
}
close(now) {
wasm.webclient_close(this.__wbg_ptr, now);
}
connected(now) {
wasm.webclient_connected(this.__wbg_ptr, now);
}
create(now, name, topic, password, cipher, key) {
try {
const retptr = wasm.__wbindgen_add_to_stack_pointer(-16) >>> 0;
const val6 = +now;
let ptr0, len0, ptr1, len1, ptr2, len2, ptr3, len3, ptr4, len4;
try {
ptr0 = isLikeNone(name) ? 0 : passStringToWasm0(name, wasm.__wbindgen_export, wasm.__wbindgen_export2);
len0 = WASM_VECTOR_LEN;
ptr1 = passStringToWasm0(topic, wasm.__wbindgen_export, wasm.__wbindgen_export2);
len1 = WASM_VECTOR_LEN;
ptr2 = isLikeNone(password) ? 0 : passStringToWasm0(password, wasm.__wbindgen_export, wasm.__wbindgen_export2);
len2 = WASM_VECTOR_LEN;
ptr3 = passStringToWasm0(cipher, wasm.__wbindgen_export, wasm.__wbindgen_export2);
len3 = WASM_VECTOR_LEN;
ptr4 = isLikeNone(key) ? 0 : passStringToWasm0(key, wasm.__wbindgen_export, wasm.__wbindgen_export2);
len4 = WASM_VECTOR_LEN;
} catch (e) {
if (ptr4) { wasm.__wbindgen_export3(ptr4, len4 * 1, 1); }
if (ptr3) { wasm.__wbindgen_export3(ptr3, len3 * 1, 1); }
if (ptr2) { wasm.__wbindgen_export3(ptr2, len2 * 1, 1); }
if (ptr1) { wasm.__wbindgen_export3(ptr1, len1 * 1, 1); }
if (ptr0) { wasm.__wbindgen_export3(ptr0, len0 * 1, 1); }
throw e;
}
wasm.webclient_create(retptr, this.__wbg_ptr, val6, ptr0, len0, ptr1, len1, ptr2, len2, ptr3, len3, ptr4, len4);
var r0 = getDataViewMemory0().getFloat64(retptr + 8 * 0, true);
var r2 = getDataViewMemory0().getInt32(retptr + 4 * 2, true);
var r3 = getDataViewMemory0().getInt32(retptr + 4 * 3, true);
if (r3) {
throw takeFromExternrefTable0(r2);
}
return r0;
} finally {
wasm.__wbindgen_add_to_stack_pointer(16);
}
}
direct(now, nick, member) {
try {
const retptr = wasm.__wbindgen_add_to_stack_pointer(-16) >>> 0;
const val3 = +now;
let ptr0, len0, ptr1, len1;
try {
ptr0 = isLikeNone(nick) ? 0 : passStringToWasm0(nick, wasm.__wbindgen_export, wasm.__wbindgen_export2);
len0 = WASM_VECTOR_LEN;
ptr1 = isLikeNone(member) ? 0 : passStringToWasm0(member, wasm.__wbindgen_export, wasm.__wbindgen_export2);
len1 = WASM_VECTOR_LEN;
} catch (e) {
if (ptr1) { wasm.__wbindgen_export3(ptr1, len1 * 1, 1); }
if (ptr0) { wasm.__wbindgen_export3(ptr0, len0 * 1, 1); }
throw e;
}
wasm.webclient_direct(retptr, this.__wbg_ptr, val3, ptr0, len0, ptr1, len1);
var r0 = getDataViewMemory0().getFloat64(retptr + 8 * 0, true);
var r2 = getDataViewMemory0().getInt32(retptr + 4 * 2, true);
var r3 = getDataViewMemory0().getInt32(retptr + 4 * 3, true);
if (r3) {
throw takeFromExternrefTable0(r2);
}
return r0;
} finally {
wasm.__wbindgen_add_to_stack_pointer(16);
}
}
disconnected(now) {
wasm.webclient_disconnected(this.__wbg_ptr, now);
}
done(now, bytes) {
try {
const retptr = wasm.__wbindgen_add_to_stack_pointer(-16) >>> 0;
const val2 = +now;
const ptr0 = passArray8ToWasm0(bytes, wasm.__wbindgen_export);
const len0 = WASM_VECTOR_LEN;
wasm.webclient_done(retptr, this.__wbg_ptr, val2, ptr0, len0);
var r0 = getDataViewMemory0().getInt32(retptr + 4 * 0, true);
var r1 = getDataViewMemory0().getInt32(retptr + 4 * 1, true);
if (r1) {
throw takeFromExternrefTable0(r0);
}
} finally {
wasm.__wbindgen_add_to_stack_pointer(16);
}
}
history(now, room, before, limit) {
try {
const retptr = wasm.__wbindgen_add_to_stack_pointer(-16) >>> 0;
const val2 = +now;
const val3 = +(isLikeNone(before) ? 0 : before);
const val4 = +limit;
const ptr0 = passStringToWasm0(room, wasm.__wbindgen_export, wasm.__wbindgen_export2);
const len0 = WASM_VECTOR_LEN;
wasm.webclient_history(retptr, this.__wbg_ptr, val2, ptr0, len0, !isLikeNone(before), val3, val4);
var r0 = getDataViewMemory0().getFloat64(retptr + 8 * 0, true);
var r2 = getDataViewMemory0().getInt32(retptr + 4 * 2, true);
var r3 = getDataViewMemory0().getInt32(retptr + 4 * 3, true);
if (r3) {
throw takeFromExternrefTable0(r2);
}
return r0;
} finally {
wasm.__wbindgen_add_to_stack_pointer(16);
}
}
join(now, number, password, key) {
try {
const retptr = wasm.__wbindgen_add_to_stack_pointer(-16) >>> 0;
const val3 = +now;
const val4 = +(isLikeNone(number) ? Number.MAX_SAFE_INTEGER : (number) >>> 0);
let ptr0, len0, ptr1, len1;
try {
ptr0 = isLikeNone(password) ? 0 : passStringToWasm0(password, wasm.__wbindgen_export, wasm.__wbindgen_export2);
len0 = WASM_VECTOR_LEN;
ptr1 = isLikeNone(key) ? 0 : passStringToWasm0(key, wasm.__wbindgen_export, wasm.__wbindgen_export2);
len1 = WASM_VECTOR_LEN;
} catch (e) {
if (ptr1) { wasm.__wbindgen_export3(ptr1, len1 * 1, 1); }
if (ptr0) { wasm.__wbindgen_export3(ptr0, len0 * 1, 1); }
throw e;
}
wasm.webclient_join(retptr, this.__wbg_ptr, val3, val4, ptr0, len0, ptr1, len1);
var r0 = getDataViewMemory0().getFloat64(retptr + 8 * 0, true);
var r2 = getDataViewMemory0().getInt32(retptr + 4 * 2, true);
var r3 = getDataViewMemory0().getInt32(retptr + 4 * 3, true);
if (r3) {
throw takeFromExternrefTable0(r2);
}
return r0;
} finally {
wasm.__wbindgen_add_to_stack_pointer(16);
}
}
leave(now, room) {
try {
const retptr = wasm.__wbindgen_add_to_stack_pointer(-16) >>> 0;
const val2 = +now;
const ptr0 = passStringToWasm0(room, wasm.__wbindgen_export, wasm.__wbindgen_export2);
const len0 = WASM_VECTOR_LEN;
wasm.webclient_leave(retptr, this.__wbg_ptr, val2, ptr0, len0);
var r0 = getDataViewMemory0().getFloat64(retptr + 8 * 0, true);
var r2 = getDataViewMemory0().getInt32(retptr + 4 * 2, true);
var r3 = getDataViewMemory0().getInt32(retptr + 4 * 3, true);
if (r3) {
throw takeFromExternrefTable0(r2);
}
return r0;
} finally {
wasm.__wbindgen_add_to_stack_pointer(16);
}
}
list(now) {
const ret = wasm.webclient_list(this.__wbg_ptr, now);
return ret;
}
member() {
let deferred1_0;
let deferred1_1;
try {
const retptr = wasm.__wbindgen_add_to_stack_pointer(-16) >>> 0;
wasm.webclient_member(retptr, this.__wbg_ptr);
var r0 = getDataViewMemory0().getInt32(retptr + 4 * 0, true);
var r1 = getDataViewMemory0().getInt32(retptr + 4 * 1, true);
deferred1_0 = r0;
deferred1_1 = r1;
return getStringFromWasm0(r0, r1);
} finally {
wasm.__wbindgen_add_to_stack_pointer(16);
wasm.__wbindgen_export3(deferred1_0, deferred1_1, 1);
}
}
members(now, room) {
try {
const retptr = wasm.__wbindgen_add_to_stack_pointer(-16) >>> 0;
const val2 = +now;
const ptr0 = passStringToWasm0(room, wasm.__wbindgen_export, wasm.__wbindgen_export2);
const len0 = WASM_VECTOR_LEN;
wasm.webclient_members(retptr, this.__wbg_ptr, val2, ptr0, len0);
var r0 = getDataViewMemory0().getFloat64(retptr + 8 * 0, true);
var r2 = getDataViewMemory0().getInt32(retptr + 4 * 2, true);
var r3 = getDataViewMemory0().getInt32(retptr + 4 * 3, true);
if (r3) {
throw takeFromExternrefTable0(r2);
}
return r0;
} finally {
wasm.__wbindgen_add_to_stack_pointer(16);
}
}
constructor(nick, label, secret, kept, seed) {
try {
const retptr = wasm.__wbindgen_add_to_stack_pointer(-16) >>> 0;
const val5 = +kept;
let ptr0, len0, ptr1, len1, ptr2, len2, ptr3, len3;
try {
ptr0 = passStringToWasm0(nick, wasm.__wbindgen_export, wasm.__wbindgen_export2);
len0 = WASM_VECTOR_LEN;
ptr1 = passStringToWasm0(label, wasm.__wbindgen_export, wasm.__wbindgen_export2);
len1 = WASM_VECTOR_LEN;
ptr2 = passArray8ToWasm0(secret, wasm.__wbindgen_export);
len2 = WASM_VECTOR_LEN;
ptr3 = passArray8ToWasm0(seed, wasm.__wbindgen_export);
len3 = WASM_VECTOR_LEN;
} catch (e) {
if (ptr3) { wasm.__wbindgen_export3(ptr3, len3 * 1, 1); }
if (ptr2) { wasm.__wbindgen_export3(ptr2, len2 * 1, 1); }
if (ptr1) { wasm.__wbindgen_export3(ptr1, len1 * 1, 1); }
if (ptr0) { wasm.__wbindgen_export3(ptr0, len0 * 1, 1); }
throw e;
}
wasm.webclient_new(retptr, ptr0, len0, ptr1, len1, ptr2, len2, val5, ptr3, len3);
var r0 = getDataViewMemory0().getInt32(retptr + 4 * 0, true);
var r1 = getDataViewMemory0().getInt32(retptr + 4 * 1, true);
var r2 = getDataViewMemory0().getInt32(retptr + 4 * 2, true);
if (r2) {
throw takeFromExternrefTable0(r1);
}
this.__wbg_ptr = r0;
WebClientFinalization.register(this, this.__wbg_ptr, this);
return this;
} finally {
wasm.__wbindgen_add_to_stack_pointer(16);
}
}
next_step() {
const ret = wasm.webclient_next_step(this.__wbg_ptr);
return ret === 0 ? undefined : Step.__wrap(ret);
}
next_timeout() {
try {
const retptr = wasm.__wbindgen_add_to_stack_pointer(-16) >>> 0;
wasm.webclient_next_timeout(retptr, this.__wbg_ptr);
var r0 = getDataViewMemory0().getInt32(retptr + 4 * 0, true);
var r2 = getDataViewMemory0().getFloat64(retptr + 8 * 1, true);
return r0 === 0 ? undefined : r2;
} finally {
wasm.__wbindgen_add_to_stack_pointer(16);
}
}
nick(now, nick, label) {
const val3 = +now;
let ptr0, len0, ptr1, len1;
try {
ptr0 = passStringToWasm0(nick, wasm.__wbindgen_export, wasm.__wbindgen_export2);
len0 = WASM_VECTOR_LEN;
ptr1 = passStringToWasm0(label, wasm.__wbindgen_export, wasm.__wbindgen_export2);
len1 = WASM_VECTOR_LEN;
} catch (e) {
if (ptr1) { wasm.__wbindgen_export3(ptr1, len1 * 1, 1); }
if (ptr0) { wasm.__wbindgen_export3(ptr0, len0 * 1, 1); }
throw e;
}
const ret = wasm.webclient_nick(this.__wbg_ptr, val3, ptr0, len0, ptr1, len1);
return ret;
}
password(now, room, password) {
try {
const retptr = wasm.__wbindgen_add_to_stack_pointer(-16) >>> 0;
const val3 = +now;
let ptr0, len0, ptr1, len1;
try {
ptr0 = passStringToWasm0(room, wasm.__wbindgen_export, wasm.__wbindgen_export2);
len0 = WASM_VECTOR_LEN;
ptr1 = passStringToWasm0(password, wasm.__wbindgen_export, wasm.__wbindgen_export2);
len1 = WASM_VECTOR_LEN;
} catch (e) {
if (ptr1) { wasm.__wbindgen_export3(ptr1, len1 * 1, 1); }
if (ptr0) { wasm.__wbindgen_export3(ptr0, len0 * 1, 1); }
throw e;
}
wasm.webclient_password(retptr, this.__wbg_ptr, val3, ptr0, len0, ptr1, len1);
var r0 = getDataViewMemory0().getFloat64(retptr + 8 * 0, true);
var r2 = getDataViewMemory0().getInt32(retptr + 4 * 2, true);
var r3 = getDataViewMemory0().getInt32(retptr + 4 * 3, true);
if (r3) {
throw takeFromExternrefTable0(r2);
}
return r0;
} finally {
wasm.__wbindgen_add_to_stack_pointer(16);
}
}
received(now, bytes) {
const val2 = +now;
const ptr0 = passArray8ToWasm0(bytes, wasm.__wbindgen_export);
const len0 = WASM_VECTOR_LEN;
wasm.webclient_received(this.__wbg_ptr, val2, ptr0, len0);
}
rename(now, nick, label) {
const val3 = +now;
let ptr0, len0, ptr1, len1;
try {
ptr0 = passStringToWasm0(nick, wasm.__wbindgen_export, wasm.__wbindgen_export2);
len0 = WASM_VECTOR_LEN;
ptr1 = passStringToWasm0(label, wasm.__wbindgen_export, wasm.__wbindgen_export2);
len1 = WASM_VECTOR_LEN;
} catch (e) {
if (ptr1) { wasm.__wbindgen_export3(ptr1, len1 * 1, 1); }
if (ptr0) { wasm.__wbindgen_export3(ptr0, len0 * 1, 1); }
throw e;
}
wasm.webclient_rename(this.__wbg_ptr, val3, ptr0, len0, ptr1, len1);
}
sanction(now, room, what, nick, reason, seconds) {
try {
const retptr = wasm.__wbindgen_add_to_stack_pointer(-16) >>> 0;
const val5 = +now;
const val6 = +(isLikeNone(seconds) ? Number.MAX_SAFE_INTEGER : (seconds) >>> 0);
let ptr0, len0, ptr1, len1, ptr2, len2, ptr3, len3;
try {
ptr0 = passStringToWasm0(room, wasm.__wbindgen_export, wasm.__wbindgen_export2);
len0 = WASM_VECTOR_LEN;
ptr1 = passStringToWasm0(what, wasm.__wbindgen_export, wasm.__wbindgen_export2);
len1 = WASM_VECTOR_LEN;
ptr2 = passStringToWasm0(nick, wasm.__wbindgen_export, wasm.__wbindgen_export2);
len2 = WASM_VECTOR_LEN;
ptr3 = passStringToWasm0(reason, wasm.__wbindgen_export, wasm.__wbindgen_export2);
len3 = WASM_VECTOR_LEN;
} catch (e) {
if (ptr3) { wasm.__wbindgen_export3(ptr3, len3 * 1, 1); }
if (ptr2) { wasm.__wbindgen_export3(ptr2, len2 * 1, 1); }
if (ptr1) { wasm.__wbindgen_export3(ptr1, len1 * 1, 1); }
if (ptr0) { wasm.__wbindgen_export3(ptr0, len0 * 1, 1); }
throw e;
}
wasm.webclient_sanction(retptr, this.__wbg_ptr, val5, ptr0, len0, ptr1, len1, ptr2, len2, ptr3, len3, val6);
var r0 = getDataViewMemory0().getFloat64(retptr + 8 * 0, true);
var r2 = getDataViewMemory0().getInt32(retptr + 4 * 2, true);
var r3 = getDataViewMemory0().getInt32(retptr + 4 * 3, true);
if (r3) {
throw takeFromExternrefTable0(r2);
}
return r0;
} finally {
wasm.__wbindgen_add_to_stack_pointer(16);
}
}
send(now, room, action, text) {
try {
const retptr = wasm.__wbindgen_add_to_stack_pointer(-16) >>> 0;
const val3 = +now;
const val4 = +action;
let ptr0, len0, ptr1, len1;
try {
ptr0 = passStringToWasm0(room, wasm.__wbindgen_export, wasm.__wbindgen_export2);
len0 = WASM_VECTOR_LEN;
ptr1 = passStringToWasm0(text, wasm.__wbindgen_export, wasm.__wbindgen_export2);
len1 = WASM_VECTOR_LEN;
} catch (e) {
if (ptr1) { wasm.__wbindgen_export3(ptr1, len1 * 1, 1); }
if (ptr0) { wasm.__wbindgen_export3(ptr0, len0 * 1, 1); }
throw e;
}
wasm.webclient_send(retptr, this.__wbg_ptr, val3, ptr0, len0, val4, ptr1, len1);
var r0 = getDataViewMemory0().getFloat64(retptr + 8 * 0, true);
var r2 = getDataViewMemory0().getInt32(retptr + 4 * 2, true);
var r3 = getDataViewMemory0().getInt32(retptr + 4 * 3, true);
if (r3) {
throw takeFromExternrefTable0(r2);
}
return r0;
} finally {
wasm.__wbindgen_add_to_stack_pointer(16);
}
}
start(now) {
wasm.webclient_start(this.__wbg_ptr, now);
}
timeout(now) {
wasm.webclient_timeout(this.__wbg_ptr, now);
}
topic(now, room, topic) {
try {
const retptr = wasm.__wbindgen_add_to_stack_pointer(-16) >>> 0;
const val3 = +now;
let ptr0, len0, ptr1, len1;
try {
ptr0 = passStringToWasm0(room, wasm.__wbindgen_export, wasm.__wbindgen_export2);
len0 = WASM_VECTOR_LEN;
ptr1 = passStringToWasm0(topic, wasm.__wbindgen_export, wasm.__wbindgen_export2);
len1 = WASM_VECTOR_LEN;
} catch (e) {
if (ptr1) { wasm.__wbindgen_export3(ptr1, len1 * 1, 1); }
if (ptr0) { wasm.__wbindgen_export3(ptr0, len0 * 1, 1); }
throw e;
}
wasm.webclient_topic(retptr, this.__wbg_ptr, val3, ptr0, len0, ptr1, len1);
var r0 = getDataViewMemory0().getFloat64(retptr + 8 * 0, true);
var r2 = getDataViewMemory0().getInt32(retptr + 4 * 2, true);
var r3 = getDataViewMemory0().getInt32(retptr + 4 * 3, true);
if (r3) {
throw takeFromExternrefTable0(r2);
}
return r0;
} finally {
wasm.__wbindgen_add_to_stack_pointer(16);
}
}
}
if (Symbol.dispose) WebClient.prototype[Symbol.dispose] = WebClient.prototype.free;
export function check_key(text) {
const ptr0 = passStringToWasm0(text, wasm.__wbindgen_export, wasm.__wbindgen_export2);
const len0 = WASM_VECTOR_LEN;
const ret = wasm.check_key(ptr0, len0);
return ret !== 0;
}
export function check_nick(text) {
try {
const retptr = wasm.__wbindgen_add_to_stack_pointer(-16) >>> 0;
const ptr0 = passStringToWasm0(text, wasm.__wbindgen_export, wasm.__wbindgen_export2);
const len0 = WASM_VECTOR_LEN;
wasm.check_nick(retptr, ptr0, len0);
var r0 = getDataViewMemory0().getInt32(retptr + 4 * 0, true);
var r1 = getDataViewMemory0().getInt32(retptr + 4 * 1, true);
let v2;
if (r0 !== 0) {
v2 = getStringFromWasm0(r0, r1);
wasm.__wbindgen_export3(r0, r1 * 1, 1);
}
return v2;
} finally {
wasm.__wbindgen_add_to_stack_pointer(16);
}
}
export function harmless(text) {
let deferred2_0;
let deferred2_1;
try {
const retptr = wasm.__wbindgen_add_to_stack_pointer(-16) >>> 0;
const ptr0 = passStringToWasm0(text, wasm.__wbindgen_export, wasm.__wbindgen_export2);
const len0 = WASM_VECTOR_LEN;
wasm.harmless(retptr, ptr0, len0);
var r0 = getDataViewMemory0().getInt32(retptr + 4 * 0, true);
var r1 = getDataViewMemory0().getInt32(retptr + 4 * 1, true);
deferred2_0 = r0;
deferred2_1 = r1;
return getStringFromWasm0(r0, r1);
} finally {
wasm.__wbindgen_add_to_stack_pointer(16);
wasm.__wbindgen_export3(deferred2_0, deferred2_1, 1);
}
}
export function qr_code(text) {
try {
const retptr = wasm.__wbindgen_add_to_stack_pointer(-16) >>> 0;
const ptr0 = passStringToWasm0(text, wasm.__wbindgen_export, wasm.__wbindgen_export2);
const len0 = WASM_VECTOR_LEN;
wasm.qr_code(retptr, ptr0, len0);
var r0 = getDataViewMemory0().getInt32(retptr + 4 * 0, true);
var r1 = getDataViewMemory0().getInt32(retptr + 4 * 1, true);
var v2 = getArrayU8FromWasm0(r0, r1).slice();
wasm.__wbindgen_export3(r0, r1 * 1, 1);
return v2;
} finally {
wasm.__wbindgen_add_to_stack_pointer(16);
}
}
export function run_work(bytes) {
try {
const retptr = wasm.__wbindgen_add_to_stack_pointer(-16) >>> 0;
const ptr0 = passArray8ToWasm0(bytes, wasm.__wbindgen_export);
const len0 = WASM_VECTOR_LEN;
wasm.run_work(retptr, ptr0, len0);
var r0 = getDataViewMemory0().getInt32(retptr + 4 * 0, true);
var r1 = getDataViewMemory0().getInt32(retptr + 4 * 1, true);
var r2 = getDataViewMemory0().getInt32(retptr + 4 * 2, true);
var r3 = getDataViewMemory0().getInt32(retptr + 4 * 3, true);
if (r3) {
throw takeFromExternrefTable0(r2);
}
var v2 = getArrayU8FromWasm0(r0, r1).slice();
wasm.__wbindgen_export3(r0, r1 * 1, 1);
return v2;
} finally {
wasm.__wbindgen_add_to_stack_pointer(16);
}
}
function __wbg_get_imports() {
const import0 = {
__proto__: null,
__wbg_Error_208446807d0d1e30: function(arg0, arg1) {
const ret = Error(getStringFromWasm0(arg0, arg1));
return ret;
},
__wbg___wbindgen_throw_4c88d8bf264fd984: function(arg0, arg1) {
throw new Error(getStringFromWasm0(arg0, arg1));
},
__wbindgen_init_externref_table: function() {
const table = wasm.__wbindgen_externrefs;
table.set(0, undefined);
table.set(1024, undefined);
table.set(1025, null);
table.set(1026, true);
table.set(1027, false);
},
};
return {
__proto__: null,
"./chat_web_client_bg.js": import0,
};
}
const StepFinalization = (typeof FinalizationRegistry === 'undefined')
? { register: () => {}, unregister: () => {} }
: new FinalizationRegistry(ptr => wasm.__wbg_step_free(ptr, 1));
const WebClientFinalization = (typeof FinalizationRegistry === 'undefined')
? { register: () => {}, unregister: () => {} }
: new FinalizationRegistry(ptr => wasm.__wbg_webclient_free(ptr, 1));
function getArrayU8FromWasm0(ptr, len) {
ptr = ptr >>> 0;
return getUint8ArrayMemory0().subarray(ptr / 1, ptr / 1 + len);
}
let cachedDataViewMemory0 = null;
function getDataViewMemory0() {
if (cachedDataViewMemory0 === null || cachedDataViewMemory0.buffer.detached === true || (cachedDataViewMemory0.buffer.detached === undefined && cachedDataViewMemory0.buffer !== wasm.memory.buffer)) {
cachedDataViewMemory0 = new DataView(wasm.memory.buffer);
}
return cachedDataViewMemory0;
}
function getStringFromWasm0(ptr, len) {
ptr = ptr >>> 0;
return decodeText(getUint8ArrayMemory0().subarray(ptr, ptr + len));
}
let cachedUint8ArrayMemory0 = null;
function getUint8ArrayMemory0() {
if (cachedUint8ArrayMemory0 === null || cachedUint8ArrayMemory0.byteLength === 0) {
cachedUint8ArrayMemory0 = new Uint8Array(wasm.memory.buffer);
}
return cachedUint8ArrayMemory0;
}
function isLikeNone(x) {
return x === undefined || x === null;
}
function passArray8ToWasm0(arg, malloc) {
const ptr = malloc(arg.length * 1, 1) >>> 0;
getUint8ArrayMemory0().set(arg, ptr / 1);
WASM_VECTOR_LEN = arg.length;
return ptr;
}
function passStringToWasm0(arg, malloc, realloc) {
if (realloc === undefined) {
const buf = cachedTextEncoder.encode(arg);
const ptr = malloc(buf.length, 1) >>> 0;
getUint8ArrayMemory0().subarray(ptr, ptr + buf.length).set(buf);
WASM_VECTOR_LEN = buf.length;
return ptr;
}
let len = arg.length;
let ptr = malloc(len, 1) >>> 0;
const mem = getUint8ArrayMemory0();
let offset = 0;
for (; offset < len; offset++) {
const code = arg.charCodeAt(offset);
if (code > 0x7F) break;
mem[ptr + offset] = code;
}
if (offset !== len) {
if (offset !== 0) {
arg = arg.slice(offset);
}
ptr = realloc(ptr, len, len = offset + arg.length * 3, 1) >>> 0;
const view = getUint8ArrayMemory0().subarray(ptr + offset, ptr + len);
const ret = cachedTextEncoder.encodeInto(arg, view);
offset += ret.written;
ptr = realloc(ptr, len, offset, 1) >>> 0;
}
WASM_VECTOR_LEN = offset;
return ptr;
}
function takeFromExternrefTable0(idx) {
const value = wasm.__wbindgen_externrefs.get(idx);
wasm.__wbindgen_export4(idx);
return value;
}
let cachedTextDecoder = new TextDecoder('utf-8', { ignoreBOM: true });
cachedTextDecoder.decode();
const MAX_SAFARI_DECODE_BYTES = 2146435072;
let numBytesDecoded = 0;
function decodeText(bytes) {
numBytesDecoded += bytes.length;
if (numBytesDecoded >= MAX_SAFARI_DECODE_BYTES) {
cachedTextDecoder = new TextDecoder('utf-8', { ignoreBOM: true });
cachedTextDecoder.decode();
numBytesDecoded = bytes.length;
}
return cachedTextDecoder.decode(bytes);
}
const cachedTextEncoder = new TextEncoder();
if (!('encodeInto' in cachedTextEncoder)) {
cachedTextEncoder.encodeInto = function (arg, view) {
const buf = cachedTextEncoder.encode(arg);
view.set(buf);
return {
read: arg.length,
written: buf.length
};
};
}
let WASM_VECTOR_LEN = 0;
let wasmModule, wasmInstance, wasm;
function __wbg_finalize_init(instance, module) {
wasmInstance = instance;
wasm = instance.exports;
wasmModule = module;
cachedDataViewMemory0 = null;
cachedUint8ArrayMemory0 = null;
wasm.__wbindgen_start();
return wasm;
}
async function __wbg_load(module, imports) {
if (typeof Response === 'function' && module instanceof Response) {
if (!module.ok) {
throw new Error(`failed to fetch Wasm: ${module.status} ${module.statusText} fetching '${module.url}'`);
}
if (typeof WebAssembly.instantiateStreaming === 'function') {
try {
return await WebAssembly.instantiateStreaming(module, imports);
} catch (e) {
const validResponse = expectedResponseType(module.type);
if (validResponse && module.headers.get('Content-Type') !== 'application/wasm') {
console.warn("`WebAssembly.instantiateStreaming` failed because your server does not serve Wasm with `application/wasm` MIME type. Falling back to `WebAssembly.instantiate` which is slower. Original error:\n", e);
} else { throw e; }
}
}
const bytes = await module.arrayBuffer();
return await WebAssembly.instantiate(bytes, imports);
} else {
const instance = await WebAssembly.instantiate(module, imports);
if (instance instanceof WebAssembly.Instance) {
return { instance, module };
} else {
return instance;
}
}
function expectedResponseType(type) {
switch (type) {
case 'basic': case 'cors': case 'default': return true;
}
return false;
}
}
function initSync(module) {
if (wasm !== undefined) return wasm;
if (module !== undefined) {
if (Object.getPrototypeOf(module) === Object.prototype) {
({module} = module)
} else {
console.warn('using deprecated parameters for `initSync()`; pass a single object instead')
}
}
const imports = __wbg_get_imports();
if (!(module instanceof WebAssembly.Module)) {
module = new WebAssembly.Module(module);
}
const instance = new WebAssembly.Instance(module, imports);
return __wbg_finalize_init(instance, module);
}
let __wbg_init_promise;
async function __wbg_init(module_or_path) {
if (wasm !== undefined) return wasm;
if (__wbg_init_promise === undefined) {
__wbg_init_promise = __wbg_init_once(module_or_path);
__wbg_init_promise.catch(() => { __wbg_init_promise = undefined; });
}
return __wbg_init_promise;
}
async function __wbg_init_once(module_or_path) {
if (module_or_path !== undefined) {
if (Object.getPrototypeOf(module_or_path) === Object.prototype) {
({module_or_path} = module_or_path)
} else {
console.warn('using deprecated parameters for the initialization function; pass a single object instead')
}
}
const imports = __wbg_get_imports();
if (typeof module_or_path === 'string' || (typeof Request === 'function' && module_or_path instanceof Request) || (typeof URL === 'function' && module_or_path instanceof URL)) {
module_or_path = fetch(module_or_path);
}
const { instance, module } = await __wbg_load(await module_or_path, imports);
return __wbg_finalize_init(instance, module);
}
export { initSync, __wbg_init as default };
