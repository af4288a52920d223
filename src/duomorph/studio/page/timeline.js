// Waveform and curves over time: choose shapes, zoom with the wheel, scrub, and with Shift drag out a loop. With a capture
// beside, its curves are dashed, and below stands how far ours are from them.

export const HUES = ["#d1495b", "#2e86ab", "#3d9a50", "#b87a0a", "#7b5ea7", "#0f8b8d", "#c2571a", "#a23e8c"];
export const unit = () => parseFloat(getComputedStyle(document.documentElement).fontSize) / 14;  // larger letters on larger screens
const LANE = 0.38, SPANS = [0.05, 0.1, 0.2, 0.5, 1];  // share of the height for the differences, and what it may span

export class Timeline extends EventTarget {
  #still = document.createElement("canvas"); #stale = true; #size = ""; #drag = null; #drawn = -1; #peaks = null;
  take = null; truth = null; shapes = new Map();  // shape -> colour
  from = 0; to = 1; loop = null;

  constructor(canvas) {
    super();
    this.canvas = canvas;
    this.size = [canvas.clientWidth, canvas.clientHeight];
    new ResizeObserver(([{ contentRect: { width, height } }]) => { this.size = [width, height]; }).observe(canvas);
    canvas.addEventListener("pointerdown", (event) => {
      if (!this.take) return;
      canvas.setPointerCapture(event.pointerId);
      this.#drag = { from: this.#second(event), loop: event.shiftKey };
      this.#dragged(event);
    });
    canvas.addEventListener("pointermove", (event) => this.#drag && this.#dragged(event));
    for (const kind of ["pointerup", "pointercancel"]) canvas.addEventListener(kind, () => { this.#drag = null; });
    canvas.addEventListener("wheel", (event) => {
      if (!this.take) return;
      event.preventDefault();
      if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY))
        this.view(this.from + (event.deltaX || event.deltaY) / canvas.clientWidth * (this.to - this.from));
      else this.zoom(Math.exp(event.deltaY / 400), this.#second(event));
    }, { passive: false });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.changed());
  }

  show(take) { Object.assign(this, { take, loop: null }); this.#peaks = null; this.view(0, Math.max(take?.seconds ?? 1, 0.1)); }
  changed() { this.#stale = true; }
  view(from, to = from + this.to - this.from) {
    const all = Math.max(this.take?.seconds ?? 1, 0.1), span = Math.min(Math.max(to - from, 0.05), all);
    this.from = Math.min(Math.max(from, 0), all - span);
    this.to = this.from + span;
    this.changed();
  }
  zoom(factor, about = (this.from + this.to) / 2) {
    this.view(about - (about - this.from) * factor, about + (this.to - about) * factor);
  }
  follow(seconds) {
    if (!this.#drag && (seconds < this.from || seconds > this.to)) this.view(seconds - 0.05 * (this.to - this.from));
  }

  #second(event) {
    const { left, width } = this.canvas.getBoundingClientRect();
    return Math.min(Math.max(this.from + (event.clientX - left) / width * (this.to - this.from), 0), this.take.seconds);
  }
  #dragged(event) {
    const at = this.#second(event), { from, loop } = this.#drag;
    if (loop) {
      const range = [Math.min(from, at), Math.max(from, at)];
      if (range[1] - range[0] > 0.03) this.dispatchEvent(new CustomEvent("loop", { detail: range }));
    } else this.dispatchEvent(new CustomEvent("seek", { detail: at }));
  }

  draw(seconds) {
    const { canvas } = this, scale = Math.min(devicePixelRatio, 2), [width, height] = this.size.map((one) => Math.round(one * scale));
    if (this.#size !== `${width} ${height}`) {
      this.#size = `${width} ${height}`;
      for (const one of [canvas, this.#still]) Object.assign(one, { width, height });
      this.#stale = true;
    }
    if (!width || (!this.#stale && this.#drawn === seconds)) return;
    if (this.#stale) this.#picture(this.#still.getContext("2d"), width, height, scale * unit());
    this.#stale = false;
    this.#drawn = seconds;
    const pen = canvas.getContext("2d");
    pen.clearRect(0, 0, width, height);
    pen.drawImage(this.#still, 0, 0);
    if (!this.take) return;
    pen.fillStyle = this.ink;
    pen.fillRect(Math.round((seconds - this.from) / (this.to - this.from) * width) - scale / 2, 0, Math.max(1, 1.5 * scale), height);
  }

  #picture(pen, width, height, scale) {
    const style = getComputedStyle(this.canvas), colour = (name) => style.getPropertyValue(name).trim();
    this.ink = colour("--ink");
    pen.clearRect(0, 0, width, height);
    if (!this.take) return;
    const { take } = this, x = (s) => (s - this.from) / (this.to - this.from) * width, ruler = height - 16 * scale;
    const lane = this.apart.length ? Math.round(LANE * ruler) : 0, foot = ruler - lane;
    if (this.loop) {
      pen.globalAlpha = 0.18;
      pen.fillStyle = colour("--blue");
      pen.fillRect(x(this.loop[0]), 0, x(this.loop[1]) - x(this.loop[0]), height);
      pen.globalAlpha = 1;
    }
    this.#wave(pen, width, foot, colour("--wave"));
    const step = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300].find((s) => x(this.from + s) > 70 * scale) ?? 600;
    pen.fillStyle = colour("--faint");
    pen.font = `${11 * scale}px system-ui, sans-serif`;
    for (let tick = Math.ceil(this.from / step); tick * step <= this.to; tick++) {
      pen.fillRect(x(tick * step), ruler, scale, 4 * scale);
      pen.fillText(`${+(tick * step).toFixed(2)} s`, x(tick * step) + 3 * scale, height - 3 * scale);
    }
    pen.lineJoin = "round";
    for (const [shape, hue] of this.shapes) {
      if (this.truth?.captured[shape]) { pen.setLineDash([4 * scale, 3 * scale]); this.#curve(pen, this.truth, shape, hue, x, foot, 1.3 * scale); }
      pen.setLineDash([]);
      this.#curve(pen, take, shape, hue, x, foot, 1.8 * scale);
    }
    if (lane) this.#differences(pen, x, foot, lane, scale, colour("--faint"));
  }

  // The chosen shapes that the capture knows.
  get apart() { return this.truth && this.take?.frames ? [...this.shapes.keys()].filter((shape) => this.truth.captured[shape]) : []; }

  // Ours less the capture's at a frame of ours; NaN where there is no capture.
  difference(shape, k) { return this.take.value(shape, k) - this.truth.level(shape, this.take.start + k / this.take.fps); }

  #seen(take) {  // the frames in view: first, last, and every how many
    const first = Math.max(0, Math.floor((this.from - take.start) * take.fps) - 1);
    const last = Math.min(take.frames, Math.ceil((this.to - take.start) * take.fps) + 2);
    return [first, last, Math.max(1, Math.floor((last - first) / (2 * this.canvas.width)))];
  }

  #curve(pen, take, shape, hue, x, foot, thick) {
    const [first, last, step] = this.#seen(take);
    pen.strokeStyle = hue;
    pen.lineWidth = thick;
    pen.beginPath();
    for (let k = first; k < last; k += step)
      pen.lineTo(x(take.start + k / take.fps), (foot - 6) * (1 - take.value(shape, k)) + 3);
    pen.stroke();
  }

  #differences(pen, x, top, tall, scale, faint) {
    const { take, apart } = this, [first, last, step] = this.#seen(take), middle = top + tall / 2;
    let most = 0;
    for (const shape of apart) for (let k = first; k < last; k += step) most = Math.max(most, Math.abs(this.difference(shape, k)) || 0);
    this.span = SPANS.find((span) => most <= span) ?? 1;
    pen.fillStyle = faint;
    pen.fillRect(0, top, this.canvas.width, scale);
    pen.globalAlpha = 0.5;
    pen.fillRect(0, middle, this.canvas.width, scale);
    pen.globalAlpha = 1;
    pen.fillText(`prediction − capture, ± ${this.span}`, 3 * scale, top + 12 * scale);
    for (const shape of apart) {
      pen.strokeStyle = this.shapes.get(shape);
      pen.lineWidth = 1.4 * scale;
      pen.beginPath();
      for (let k = first; k < last; k += step) {
        const apart = this.difference(shape, k);
        if (!Number.isNaN(apart)) pen.lineTo(x(take.start + k / take.fps), middle - apart / this.span * (tall / 2 - 2 * scale));
      }
      pen.stroke();
    }
  }

  #wave(pen, width, foot, colour) {  // peaks of 256 samples, kept
    const { take } = this, size = 256, count = Math.floor(take.sound.length / size);
    this.#peaks ??= { done: 0, top: [] };
    const upto = Math.min(count, this.#peaks.done + 4096);  // a million samples a picture, so that it never waits
    if (upto < count) setTimeout(() => this.changed());
    for (; this.#peaks.done < upto; this.#peaks.done++) {
      let top = 0;
      for (let k = this.#peaks.done * size; k < (this.#peaks.done + 1) * size; k++) top = Math.max(top, Math.abs(take.sound.data[k]));
      this.#peaks.top.push(top);
    }
    const loudest = this.#peaks.top.reduce((a, b) => Math.max(a, b), 0.05);
    pen.fillStyle = colour;
    for (let column = 0; column < width; column++) {
      const at = (s) => (this.from + s / width * (this.to - this.from)) * take.rate / size;
      const begin = Math.floor(at(column)), end = Math.max(begin + 1, Math.floor(at(column + 1)));
      let top = 0;
      for (let k = begin; k < end && k < this.#peaks.top.length; k++) top = Math.max(top, this.#peaks.top[k]);
      const tall = top / loudest * foot * 0.9;
      if (tall) pen.fillRect(column, (foot - tall) / 2, 1, Math.max(1, tall));
    }
  }
}
