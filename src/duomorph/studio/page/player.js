// A take is heard, and the moment of it that is heard now: the audio clock less what the output still holds.

export class Player extends EventTarget {
  #source = null; #from = 0; #at = 0; #began = 0; #rest = 0;
  loop = null;  // [from, to] in seconds
  take = null;

  constructor() { super(); this.context = null; }
  ready() {  // from a click or a key, else browsers refuse
    this.context ??= new AudioContext({ latencyHint: "interactive" });
    if (this.context.state === "suspended") this.context.resume();
    return this.context;
  }
  get began() { return this.#began - this.#at; }  // by the clock of the audio context, second 0 of the take
  get playing() { return this.#source !== null; }

  // Seconds of the take.
  get position() {
    if (!this.#source) return this.#rest;
    const { currentTime, outputLatency, baseLatency } = this.context;
    const heard = this.#at + Math.max(0, currentTime - (outputLatency || baseLatency || 0) - this.#began);
    if (!this.loop || heard < this.loop[1]) return Math.min(heard, this.take?.seconds ?? 0);
    const [from, to] = this.loop;
    return from + (heard - from) % (to - from);
  }

  show(take) {
    this.#halt();
    Object.assign(this, { take, loop: null });
    this.seek(0);
  }

  play() {
    const context = this.ready(), { take } = this;
    if (!take || !take.sound.length) return;
    this.#halt();
    take.buffer ??= this.#heard(take);
    let from = this.#rest >= take.seconds - 0.02 ? 0 : this.#rest;
    if (this.loop && (from < this.loop[0] || from >= this.loop[1])) from = this.loop[0];
    const source = new AudioBufferSourceNode(context, { buffer: take.buffer });
    if (this.loop) Object.assign(source, { loop: true, loopStart: this.loop[0], loopEnd: this.loop[1] });
    source.connect(context.destination);
    this.#began = context.currentTime + 0.02;
    this.#at = from;
    source.start(this.#began, from);
    source.onended = () => {
      if (this.#source !== source) return;
      this.#rest = take.seconds;
      this.#source = null;
      this.dispatchEvent(new Event("change"));
    };
    this.#source = source;
    this.dispatchEvent(new Event("change"));
  }
  stop() {
    this.#rest = this.position;
    this.#halt();
    this.dispatchEvent(new Event("change"));
  }
  seek(seconds) {
    const { playing } = this;
    this.#halt();
    this.#rest = Math.min(Math.max(seconds, 0), this.take?.seconds ?? 0);
    if (playing) this.play();
    else this.dispatchEvent(new Event("change"));
  }
  setLoop(range) {
    const { playing, position } = this;
    this.loop = range;
    this.#rest = position;
    if (playing) this.play();
    this.dispatchEvent(new Event("change"));
  }
  #halt() {
    const source = this.#source;
    this.#source = null;
    source?.stop();
    source?.disconnect();
  }
  #heard(take) {
    const buffer = new AudioBuffer({ length: take.sound.length, sampleRate: take.rate });
    buffer.copyToChannel(take.samples, 0);
    return buffer;
  }
}
