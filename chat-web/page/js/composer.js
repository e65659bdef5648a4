// The line to write on: it grows, remembers a draft for each room, and completes commands and names.

import { $, avatar, h } from './dom.js';
import { SLASHES } from './slash.js';
import { t } from './texts.js';
import { begunMention, composes } from './typing.js';
import { roomName } from './words.js';

const field = $('text');
const list = $('suggestions');
/** Suggestions shown at most. */
const SHOWN = 8;

export class Composer {
  /** @type {{ text: string, element: HTMLElement }[]} */ #suggestions = [];
  #chosen = 0;
  /** Where what is completed begins. */ #from = 0;

  /**
   * @param {import('./model.js').Model} model
   * @param {(line: string) => boolean} may whether it can be said; otherwise it stays to be written on
   * @param {(line: string) => void} say
   * @param {{ turn: (pages: number) => void, tooLong: () => void }} around
   */
  constructor(model, may, say, around) {
    this.model = model;
    this.may = may;
    this.say = say;
    this.around = around;
    field.value = '';
    field.onbeforeinput = (event) => {
      // What is far too long for a message would only make the page stand still.
      const more = (event.data ?? event.dataTransfer?.getData('text/plain') ?? '').length;
      if (more > 1 && field.value.length + more > 2 * model.longest) { event.preventDefault(); around.tooLong(); }
    };
    field.oninput = () => { this.#changed(); this.#suggest(false); };
    field.onkeydown = (event) => this.#key(event);
    field.onblur = () => this.#hide();
    $('composer').onsubmit = (event) => { event.preventDefault(); this.#submit(); };
  }

  /** @param {import('./room.js').Room | null} before @param {import('./room.js').Room | null} room */
  show(before, room) {
    // What was written where there was no room yet goes along.
    if (before !== room && (before || room?.draft || !room)) field.value = room?.draft ?? '';
    this.model.write(room, field.value);
    this.draw(room);
    this.#grow();
    this.#hide();
  }

  /** @param {import('./room.js').Room | null} room */
  draw(room) {
    const out = !!room && room.out !== null && room.out !== 'back';
    const locked = !out && !!room?.lacksKey && (room.sealed || room.insecure);
    field.disabled = locked;
    // What one wrote can be taken along.
    field.readOnly = out;
    $('composer').querySelector('button').disabled = locked || out;
    const key = out ? 'composer.out' : locked ? 'composer.locked' : room?.insecure ? 'composer.insecure' : room?.sealed ? 'composer.sealed' : 'composer.to';
    field.placeholder = room ? t(key, { room: roomName(room.view) }) : t('composer.nowhere');
    $('composer').classList.toggle('sealed', !!room?.sealed);
    $('composer').classList.toggle('insecure', !!room?.insecure);
  }

  focus() { if (!field.disabled) field.focus(); }

  /** @param {string} text */
  insert(text) {
    field.setRangeText(text, field.selectionStart, field.selectionEnd, 'end');
    this.#changed();
    this.focus();
  }

  /** Puts a line back that came to nothing, unless something else is written by now. Whether it did. @param {string} line */
  restore(line) {
    if (field.value.trim() && field.value !== line) return false;
    field.value = line;
    this.#changed();
    return true;
  }

  #submit() {
    const line = field.value.replace(/\s+$/, '');
    if (!line || field.readOnly || !this.may(line)) return;
    field.value = '';
    this.#changed();
    this.#hide();
    this.say(line);
  }

  #changed() {
    this.#grow();
    this.model.write(this.model.current, field.value);
  }

  #grow() {
    field.style.height = 'auto';
    field.style.height = `${Math.min(field.scrollHeight, 200)}px`;
  }

  #key(event) {
    // Enter that chooses a character sends nothing.
    if (composes(event)) return;
    const open = !list.hidden;
    switch (event.key) {
      case 'Enter':
        if (event.shiftKey) return;
        event.preventDefault();
        // What is only begun is completed; what is whole is done.
        if (open && this.#suggestions[this.#chosen] && !field.value.slice(this.#from).startsWith(this.#suggestions[this.#chosen].text.trimEnd())) this.#take();
        else this.#submit();
        break;
      case 'Tab':
        if (event.shiftKey) return;
        if (open) { event.preventDefault(); this.#take(); }
        else if (/\S$/.test(field.value.slice(0, field.selectionStart)) && this.#suggest(true)) {
          event.preventDefault();
          if (this.#suggestions.length === 1) this.#take();
        }
        break;
      case 'ArrowDown': case 'ArrowUp':
        if (!open) return;
        event.preventDefault();
        this.#choose(this.#chosen + (event.key === 'ArrowDown' ? 1 : -1));
        break;
      case 'PageUp': case 'PageDown':
        // There is nothing to turn over in a field that is all in sight.
        if (field.scrollHeight > field.clientHeight + 2 || event.shiftKey || event.ctrlKey || event.altKey) return;
        event.preventDefault();
        this.around.turn(event.key === 'PageUp' ? -1 : 1);
        break;
      case 'Escape':
        if (open) { event.preventDefault(); event.stopPropagation(); this.#hide(); }
        break;
    }
  }

  /** Looks for what the word before the cursor may become. @param {boolean} asked by Tab: a bare word may be a name then */
  #suggest(asked) {
    const before = field.value.slice(0, field.selectionStart);
    const command = /^\/(\S*)$/.exec(before);
    if (command) {
      this.#from = 0;
      const some = SLASHES.filter(({ name }) => name.startsWith(command[1]));
      return this.#offer(some.map((slash) => ({ text: `/${slash.name}${slash.usage.includes(' ') ? ' ' : ''}`, shown: [h('code', null, slash.usage), h('span', null, t(`help.${slash.name}`))] })));
    }
    const wantsNick = /^\/(\S+)\s+(\S*)$/.exec(before);
    const isNick = wantsNick && SLASHES.some(({ name, nick }) => nick && name === wantsNick[1]);
    const mention = isNick ? null : begunMention(before);
    const begin = isNick ? wantsNick[2] : mention ?? (asked ? /\S*$/.exec(before)[0] : '');
    if (!isNick && mention === null && !begin) return this.#hide();
    this.#from = before.length - begin.length - (mention === null ? 0 : 1);
    const lower = begin.toLocaleLowerCase();
    const people = [...(this.model.current?.here.values() ?? [])]
      .filter(({ member, nick }) => member !== this.model.me.member && nick.toLocaleLowerCase().startsWith(lower))
      .sort((a, b) => a.nick.localeCompare(b.nick));
    const tail = isNick || this.#from > 0 ? ' ' : ': ';
    return this.#offer(people.map((person) => ({ text: person.nick + tail, shown: [avatar(person), h('bdi', null, person.nick), h('span', null, h('bdi', null, person.label))] })));
  }

  #offer(some) {
    if (!some.length) return this.#hide();
    this.#suggestions = some.slice(0, SHOWN).map(({ text, shown }, at) => {
      const element = h('li', { role: 'option', id: `suggestion-${at}` }, ...shown);
      element.onpointerdown = (event) => { event.preventDefault(); this.#chosen = at; this.#take(); };
      return { text, element };
    });
    list.replaceChildren(...this.#suggestions.map(({ element }) => element));
    list.hidden = false;
    this.#choose(0);
    return true;
  }

  #choose(at) {
    this.#chosen = (at + this.#suggestions.length) % this.#suggestions.length;
    this.#suggestions.forEach(({ element }, each) => element.setAttribute('aria-selected', String(each === this.#chosen)));
    field.setAttribute('aria-activedescendant', `suggestion-${this.#chosen}`);
  }

  #take() {
    field.setRangeText(this.#suggestions[this.#chosen].text, this.#from, field.selectionStart, 'end');
    this.#hide();
    this.#changed();
  }

  #hide() {
    list.hidden = true;
    field.removeAttribute('aria-activedescendant');
    return false;
  }
}
