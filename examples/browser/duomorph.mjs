// Speech to the 52 ARKit curves in a browser tab: the model of `duomorph export --sound` on onnxruntime-web.
//
//   const face = await Face.load(ort, "duomorph-sound-int8");        // .onnx and .json
//   const stream = face.stream({ delayMs: 33 });
//   for (const weights of await stream.feed(samples)) ...            // Float32Array at 16 kHz -> 60 faces a second
//   await stream.finish();                                           // those still due
//
// The same curves as Python's stream whose emotion vector is held at its mean, for any chunking.
const RATE = 16000, TICKS = 60, WINDOW = 400, BLOCK = 40;  // BLOCK: ticks that the graph takes at once; else it takes 1

// Number of samples before the end of a row; rows are half a tick apart, and row 2 n ends with tick n.
const end = (row) => Math.floor((2 * row * RATE + 2 * TICKS) / (4 * TICKS));

export class Face {
  static async load(ort, path) {
    const card = await (await fetch(`${path}.json`)).json();
    return new Face(ort, card, await ort.InferenceSession.create(`${path}.onnx`));
  }

  constructor(ort, card, session) {
    Object.assign(this, { ort, card, session, names: card.shapes });
  }

  // delayMs: 0 to 200, what the network may listen ahead. style: one of card.styles.
  stream({ delayMs = 33, style = this.card.style } = {}) {
    const delay = Math.max(0, Math.ceil((delayMs - 0.5) * TICKS / 1000)), index = this.card.styles.indexOf(style);
    if (!(delay <= 12) || index < 0) throw new RangeError(`delayMs ${delayMs}, style ${style}: expected 0 to 200 and one of ${this.card.styles}`);
    return new Stream(this, delay, index);
  }
}

class Stream {
  constructor(face, delay, style) {
    Object.assign(this, { face, delay });
    const integer = (value) => new face.ort.Tensor("int64", [BigInt(value)], [1]);
    this.fixed = { style: integer(style), delay: integer(delay), stride: integer(1),
      functionals: new face.ort.Tensor("float32", new Float32Array(0), [1, 0, 264]) };
    this.reset();
  }

  reset() {
    this.state = Object.fromEntries(Object.entries(this.face.card.state).map(([name, shape]) =>
      [name, new this.face.ort.Tensor("float32", new Float32Array(shape.reduce((a, b) => a * b, 1)), [1, ...shape])]));
    this.known = new Float32Array(WINDOW - end(-1));  // the samples since `first`; before the start there is silence
    this.first = end(-1) - WINDOW;
    this.heard = this.ticks = 0;
  }

  // (S,) samples -> the faces that they complete, each (52,) in the order of face.names.
  async feed(samples) {
    const known = new Float32Array(this.known.length + samples.length);
    known.set(this.known);
    known.set(samples, this.known.length);
    this.known = known;
    this.heard += samples.length;
    const frames = [];
    const due = (tick) => Math.max(end(2 * tick), Math.floor((tick - this.delay) * RATE / TICKS) + 1) <= this.heard;
    while (due(this.ticks)) frames.push(...await this.step(due(this.ticks + BLOCK - 1) ? BLOCK : 1));
    const old = end(2 * this.ticks - 1) - WINDOW - this.first;
    this.known = this.known.slice(old);
    this.first += old;
    return frames;
  }

  // The faces still due, as if silence followed: in all ceil(60 * seconds) of them.
  async finish() {
    const last = Math.ceil(this.heard * TICKS / RATE) - 1 + this.delay;
    return this.feed(new Float32Array(Math.max(0, end(2 * last) - this.heard)));
  }

  async step(count) {
    const windows = new Float32Array(count * 2 * WINDOW);
    for (let row = 0; row < 2 * count; row++) {
      const begin = end(2 * this.ticks - 1 + row) - WINDOW - this.first;
      windows.set(this.known.subarray(begin, begin + WINDOW), row * WINDOW);
    }
    const sound = new this.face.ort.Tensor("float32", windows, [1, count, 2, WINDOW]);
    const given = Object.fromEntries(Object.entries(this.state).map(([name, part]) => [`state_${name}`, part]));
    const found = await this.face.session.run({ sound, ...this.fixed, ...given });
    for (const name in this.state) this.state[name] = found[`next_${name}`];
    const from = Math.max(0, this.delay - this.ticks);  // what lies before the sound is no face
    this.ticks += count;
    const faces = [];
    for (let k = from; k < count; k++) faces.push(found.weights.data.slice(k * 52, k * 52 + 52));
    return faces;
  }
}
