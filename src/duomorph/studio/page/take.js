// A take: a sound and the curves that were made of it. Frame k stands at k / fps seconds.

export const POSE = 61;  // 52 shapes, 9 angles
const MOST = 1200;  // seconds

class Growing {
  constructor(size) { this.data = new Float32Array(size); this.length = 0; }
  put(values, at = this.length) {
    if (at + values.length > this.data.length) {
      const larger = new Float32Array(Math.max(2 * this.data.length, at + values.length));
      larger.set(this.data.subarray(0, this.length));
      this.data = larger;
    }
    this.data.set(values, at);
    this.length = Math.max(this.length, at + values.length);
  }
}

export class Take {
  constructor(name, rate, fps) {
    Object.assign(this, { name, rate, fps, sound: new Growing(rate), curves: new Growing(60 * POSE), buffer: null, start: 0, done: 0, whole: false });
  }
  static of(name, buffer, fps) {  // an AudioBuffer
    const take = new Take(name, buffer.sampleRate, fps), count = buffer.numberOfChannels;
    const mono = count === 1 ? buffer.getChannelData(0) : new Float32Array(buffer.length);
    for (let c = 0; count > 1 && c < count; c++) {
      const channel = buffer.getChannelData(c);
      for (let k = 0; k < mono.length; k++) mono[k] += channel[k] / count;
    }
    take.sound = Object.assign(new Growing(0), { data: mono, length: mono.length });
    take.buffer = buffer;
    return take;
  }
  get samples() { return this.sound.data.subarray(0, this.sound.length); }
  get frames() { return this.curves.length / POSE; }
  get seconds() { return Math.max(this.sound.length / this.rate, this.rate ? 0 : this.start + this.frames / this.fps); }
  get full() { return this.seconds > MOST; }
  frame(number, pose) { this.curves.put(pose, number * POSE); }
  value(shape, number) { return this.curves.data[number * POSE + shape]; }

  // One shape at a moment, between the frames; NaN where the take is not.
  level(shape, seconds) {
    const place = (seconds - this.start) * this.fps, last = this.frames - 1;
    if (!(place > -1e-3 && place < last + 1e-3)) return NaN;
    const left = Math.min(Math.max(Math.floor(place), 0), last), right = Math.min(left + 1, last), share = Math.min(Math.max(place - left, 0), 1);
    return this.value(shape, left) * (1 - share) + this.value(shape, right) * share;
  }

  // The pose at a moment, between the frames; false if there is none yet.
  at(seconds, pose) {
    if (!this.frames) return false;
    const place = Math.min(Math.max((seconds - this.start) * this.fps, 0), this.frames - 1);
    const left = Math.floor(place), right = Math.min(left + 1, this.frames - 1), share = place - left, { data } = this.curves;
    for (let k = 0; k < POSE; k++)
      pose[k] = data[left * POSE + k] * (1 - share) + data[right * POSE + k] * share;
    return true;
  }

  // float32 at 16 kHz, for what is looked at inside.
  async small() {
    if (this.cached?.length === this.sound.length) return this.cached.samples;
    const offline = new OfflineAudioContext(1, Math.max(1, Math.round(this.sound.length * 16000 / this.rate)), 16000);
    const buffer = offline.createBuffer(1, this.sound.length, this.rate), source = offline.createBufferSource();
    buffer.copyToChannel(this.samples, 0);
    source.buffer = buffer;
    source.connect(offline.destination);
    source.start();
    this.cached = { length: this.sound.length, samples: (await offline.startRendering()).getChannelData(0) };
    return this.cached.samples;
  }
}
