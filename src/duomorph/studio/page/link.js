// The WebSocket to the studio: sound goes, frames come (duomorph/studio/voice.py). It comes back by itself.
import { POSE } from "./take.js";

const FRAME = 260, AHEAD_S = 2, BLOCK_S = 0.25;  // bytes; how far sound may be ahead of its frames

export class Link extends EventTarget {
  #number = 0; #take = null; #sent = 0; #open = false; #ended = true; #live = false;

  constructor(url) { super(); this.url = url; this.#connect(); }
  get open() { return this.#open; }
  get busy() { return this.#take !== null; }

  #connect() {
    this.socket = new WebSocket(this.url);
    this.socket.binaryType = "arraybuffer";
    this.socket.onmessage = ({ data }) => typeof data === "string" ? this.#told(JSON.parse(data)) : this.#frames(data);
    this.socket.onclose = () => {
      const was = this.#open, take = this.#take;
      this.#open = false;
      this.#take = null;
      if (was) this.#say("gone", { take });
      setTimeout(() => this.#connect(), 500);
    };
  }

  // Have a take spoken: all its sound, or, live, what `feed` brings until `end`.
  begin(take, settings, live = false) {
    if (!this.#open) return false;
    this.#number++;
    this.#take = take; this.#sent = 0; this.#live = live; this.#ended = false; this.#begun = false;
    Object.assign(take, { done: 0, whole: false });  // what was there is shown until it is overwritten
    this.#order({ begin: this.#number, rate: take.rate, fps: take.fps, live, settings });
    if (!live) this.#more();
    return true;
  }
  feed(samples) { if (this.#take && this.#live) this.socket.send(samples); }
  turn(knobs) { if (this.#open) this.#order({ turn: knobs }); }
  end() {
    if (this.#take && !this.#ended) { this.#ended = true; this.#order({ end: this.#number }); }
  }

  #begun = false;
  #order(said) { this.socket.send(JSON.stringify(said)); }
  #say(kind, detail = {}) { this.dispatchEvent(new CustomEvent(kind, { detail })); }

  #more() {  // of a take that is there already
    const take = this.#take;
    while (!this.#ended && this.#sent / take.rate < take.done / take.fps + AHEAD_S) {
      const block = take.samples.slice(this.#sent, this.#sent + Math.round(BLOCK_S * take.rate));
      if (block.length) this.socket.send(block);
      this.#sent += block.length;
      if (this.#sent >= take.sound.length) this.end();
    }
  }

  #told(said) {
    if (said.duomorph) { this.#open = true; this.#say("here", said); }
    if (said.begun === this.#number) { this.#begun = true; this.#say("begun", said); }
    if (said.ended === this.#number && this.#take) { const take = this.#take; this.#take = null; take.whole = true; this.#say("ended", { take }); }
    if (said.error) { this.#take = null; this.#say("trouble", { error: said.error }); }
  }

  #frames(data) {
    if (!this.#begun || !this.#take) return;  // of a take that nobody waits for
    const view = new DataView(data);
    for (let at = 0; at + FRAME <= data.byteLength; at += FRAME)
      if (view.getUint32(at, true) === 1) {
        const number = view.getUint32(at + 4, true);
        this.#take.frame(number, new Float32Array(data, at + 16, POSE));
        this.#take.done = number + 1;
      }
    this.#say("frames", { take: this.#take });
    if (!this.#live && this.#take) this.#more();
  }
}
