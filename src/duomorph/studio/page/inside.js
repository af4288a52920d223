// What is inside: which of the two streams each shape listens to, where on the 80 bands it looks now, and what the emotion
// stream hears.
import { ask, pack, unpack } from "./api.js";
import { HUES, unit } from "./timeline.js";

const make = (kind, more = {}) => Object.assign(document.createElement(kind), more);
const HEARD = { "pitch": "F0semitoneFrom27.5Hz_sma3nz_amean", "pitch, its range": "F0semitoneFrom27.5Hz_sma3nz_pctlrange0-2",
  "loudness": "loudness_sma3_amean", "loudness, its range": "loudness_sma3_pctlrange0-2", "spectral flux": "spectralFlux_sma3_amean",
  "harmonics to noise": "HNRdBACF_sma3nz_amean", "voiced parts a second": "VoicedSegmentsPerSec" };

export class Inside extends EventTarget {
  #wanted = 0; #timer = 0; #mood = null; #of = null;
  open = false;

  constructor(panel, facts) {
    super();
    this.facts = facts;
    panel.append(make("h2", { textContent: "Where it looks now" }));
    this.told = make("p", { className: "faint", role: "status", textContent: facts.attention
      ? "Attention of each shape over the 80 mel bands at this moment; low bands left."
      : "Attention needs torch beside the studio: pip install 'duomorph[train]'" });
    this.looks = make("canvas", { hidden: !facts.attention, role: "img", ariaLabel: "Attention over the bands" });
    panel.append(this.told, this.looks, make("h2", { textContent: "What the emotion stream hears" }));
    this.heard = make("canvas", { role: "img", ariaLabel: "Features of the voice over time" });
    this.key = make("p", { className: "faint" });
    Object.keys(HEARD).forEach((name, k) => {
      const word = make("span", { textContent: `${name}  ` });
      word.style.color = HUES[k];
      this.key.append(word);
    });
    panel.append(make("p", { className: "faint", textContent: "88 features over 20 s, every 0.3 s; each between its least and its most here." }),
      this.heard, this.key, make("h2", { textContent: "Which stream each shape listens to" }));
    const key = make("p", { className: "faint" });
    key.append(make("span", { className: "key mel", textContent: "mel: the sounds  " }), make("span", { className: "key emo", textContent: "emotion: the voice" }));
    panel.append(key);
    facts.names.forEach((name, k) => {
      const row = make("div", { className: "split" }), bar = make("div", { className: "bar" }), fill = make("i");
      fill.style.transform = `scaleX(${facts.streams[k][0]})`;
      bar.append(fill);
      row.append(make("span", { textContent: name }), bar, make("span", { textContent: facts.streams[k][0].toFixed(2) }));
      panel.append(row);
    });
  }

  // The take at a moment; asked for when it has rested there.
  show(take, seconds, settings) {
    if (!this.open || !take?.sound.length) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#ask(take, seconds, settings).catch((problem) => { this.told.textContent = problem.message; }), 300);
  }

  async #ask(take, at, { style, delay_ms = 100 }) {
    const wanted = ++this.#wanted, sound = await take.small();
    if (this.#of !== sound) {
      const { said, parts } = unpack(await (await ask("/api/mood", sound)).arrayBuffer());
      this.#of = sound;
      this.#mood = { said, values: new Float32Array(parts.values) };
    }
    this.#curves(at, take.seconds);
    if (!this.facts.attention) return;
    if (at > this.facts.look_s - 1) { this.told.textContent = `Attention is worked out for the first ${this.facts.look_s} s.`; return; }
    const part = sound.subarray(0, Math.round((at + 0.3) * 16000));
    const answer = await ask("/api/looks", pack({ at, style, delay_ms }, { sound: part }));
    if (wanted === this.#wanted) this.#bands(new Float32Array(await answer.arrayBuffer()), at);
  }

  #bands(values, at) {
    const scale = devicePixelRatio, width = this.looks.clientWidth, { names } = this.facts, row = 13 * unit();
    Object.assign(this.looks, { width: width * scale, height: names.length * row * scale });
    const pen = this.looks.getContext("2d"), left = Math.min(10 * row, 0.4 * width), cell = (width - left) / 80;
    const style = getComputedStyle(this.looks);
    pen.scale(scale, scale);
    pen.font = `${0.85 * row}px system-ui, sans-serif`;
    names.forEach((name, k) => {  // each shape by its own most
      const most = values.subarray(80 * k, 80 * k + 80).reduce((a, b) => Math.max(a, b), 1e-9);
      pen.globalAlpha = 1;
      pen.fillStyle = style.getPropertyValue("--faint");
      pen.fillText(name, 0, row * (k + 0.77), left - 6);
      pen.fillStyle = style.getPropertyValue("--blue");
      for (let band = 0; band < 80; band++) {
        pen.globalAlpha = values[80 * k + band] / most;
        pen.fillRect(left + band * cell, row * k, cell + 0.5, row - 1);
      }
    });
    pen.globalAlpha = 1;
    this.told.textContent = `Attention of each shape over the 80 mel bands at ${at.toFixed(3)} s; low bands left.`;
    this.looks.dataset.at = at;
  }

  #curves(at, seconds) {
    const { said, values } = this.#mood, scale = devicePixelRatio, width = this.heard.clientWidth, height = 160;
    Object.assign(this.heard, { width: width * scale, height: height * scale });
    const pen = this.heard.getContext("2d");
    pen.scale(scale, scale);
    Object.values(HEARD).forEach((name, k) => {
      const column = said.names.indexOf(name), curve = Array.from({ length: said.count }, (_, u) => values[88 * u + column]);
      const known = curve.slice(1), least = Math.min(...known), most = Math.max(...known);  // at 0 s nothing was heard
      pen.strokeStyle = HUES[k];
      pen.lineWidth = 1.5;
      pen.beginPath();
      known.forEach((value, u) => pen.lineTo((u + 1) * said.every_s / seconds * width, height - 4 - (height - 8) * (most > least ? (value - least) / (most - least) : 0)));
      pen.stroke();
    });
    pen.fillStyle = getComputedStyle(this.heard).getPropertyValue("--ink");
    pen.fillRect(at / seconds * width, 0, 2, height);
  }
}
