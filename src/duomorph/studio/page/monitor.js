// What  duomorph live --sink ws://  sends: the face, frames a second, how much later than the quickest, and what was lost.

const make = (kind, more = {}) => Object.assign(document.createElement(kind), more);

export class Monitor extends EventTarget {
  #socket = null; #seen = [];
  numbers = null;

  constructor(panel) {
    super();
    this.address = make("input", { type: "text", value: "ws://127.0.0.1:8765", ariaLabel: "Address of the live sink", spellcheck: false });
    this.button = make("button", { textContent: "Listen", onclick: () => this.#socket ? this.close() : this.#open() });
    this.told = make("p", { className: "faint", role: "status", textContent: "Hears  duomorph live --sink ws://  on this machine." });
    const grid = make("div", { className: "big" });
    this.shown = Object.fromEntries(["fps", "behind", "worst", "lost", "frame"].map((name) => {
      const cell = make("div"), value = make("b", { textContent: "–" });
      const names = { fps: "frames a second", behind: "ms late", worst: "ms late at most", lost: "frames lost", frame: "frame" };
      cell.append(value, names[name]);
      grid.append(cell);
      return [name, value];
    }));
    panel.append(this.address, make("p", { className: "faint" }), this.button, this.told, grid, make("p", { className: "faint",
      textContent: "Late: behind the quickest frame that came, of the last ten seconds; what that one was late itself, the meter of duomorph live tells." }));
    setInterval(() => this.#tell(), 250);
  }

  #open() {
    try { this.#socket = new WebSocket(this.address.value); } catch { this.told.textContent = "That is no address: expected ws://127.0.0.1:8765"; return; }
    const socket = this.#socket;
    socket.binaryType = "arraybuffer";
    this.#seen = []; this.lost = 0; this.last = null; this.again = true;
    this.button.textContent = "Stop";
    this.told.textContent = "waiting for it …";
    socket.onmessage = ({ data }) => {
      if (typeof data === "string") { this.hello = JSON.parse(data); this.told.textContent = `${this.hello.subject}, ${this.hello.fps} fps`; return; }
      const view = new DataView(data), number = view.getUint32(4, true);
      if (view.getUint32(0, true) !== 1) return;
      if (this.last !== null && number > this.last + 1) this.lost += number - this.last - 1;
      this.last = number;
      const now = performance.now();
      this.#seen.push({ now, late: now - 1000 * view.getFloat64(8, true) });
      while (this.#seen[0].now < now - 10_000) this.#seen.shift();
      this.dispatchEvent(new CustomEvent("frame", { detail: new Float32Array(data, 16, 61) }));
    };
    socket.onclose = () => {
      if (this.#socket !== socket) return;
      this.told.textContent = "nobody is there: trying again …";
      setTimeout(() => { if (this.#socket === socket) this.#open(); }, 1000);
    };
  }
  close() {
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
    this.button.textContent = "Listen";
    this.told.textContent = "stopped";
  }

  #tell() {
    if (!this.#socket || this.#seen.length < 2) return;
    const now = performance.now(), second = this.#seen.filter((one) => one.now > now - 1000);
    const least = this.#seen.reduce((a, { late }) => Math.min(a, late), Infinity);
    const late = second.map((one) => one.late - least).sort((a, b) => a - b);
    this.numbers = { fps: second.length, behind: late[late.length >> 1] ?? 0,
      worst: this.#seen.reduce((a, one) => Math.max(a, one.late - least), 0), lost: this.lost, frame: this.last };
    for (const [name, cell] of Object.entries(this.shown)) cell.textContent = this.numbers[name].toFixed(0);
  }
}
