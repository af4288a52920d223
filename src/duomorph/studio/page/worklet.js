// In the audio thread: blocks of 1024 samples, mono, to the page.
registerProcessor("duomorph-ear", class extends AudioWorkletProcessor {
  #block = new Float32Array(1024); #full = 0;
  process([channels]) {
    for (let k = 0; k < (channels[0]?.length ?? 0); k++) {
      let sum = 0;
      for (const channel of channels) sum += channel[k];
      this.#block[this.#full++] = sum / channels.length;
      if (this.#full === this.#block.length) {
        this.port.postMessage(this.#block, [this.#block.buffer]);
        this.#block = new Float32Array(1024);
        this.#full = 0;
      }
    }
    return true;
  }
});
