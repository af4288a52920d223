// What  duomorph live --sink ws://  sends: the face, frames a second, how late they are, and what was lost. Both ends are
// on this machine and read one clock: a frame tells when its sound was heard (duomorph/wire/web.py).

const FRAME = 260, MOMENT = 268;  // bytes; the second with that moment
const KEPT_MS = 10_000;
const HERE = ["127.0.0.1", "localhost"];
const CELLS = { fps: "frames a second", late: "ms from sound to page", worst: "ms at most, of 10 s", lost: "frames lost", frame: "frame" };
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
    this.shown = Object.fromEntries(Object.entries(CELLS).map(([name, label]) => {
      const cell = make("div"), value = make("b", { textContent: "–" });
      cell.append(value, label);
      grid.append(cell);
      return [name, value];
    }));
    panel.append(this.address, make("p", { className: "faint" }), this.button, this.told, grid, make("p", { className: "faint",
      textContent: "From the moment the sound was there, the sound card's own buffers apart, to the moment the frame is here. Lost: on the way, or dropped by duomorph live because they were too late." }));
    setInterval(() => this.#tell(), 250);
  }

  #open() {
    let socket;
    try {
      const url = Object.assign(new URL(this.address.value), { search: "?heard" });
      if (!HERE.includes(url.hostname)) throw new Error("elsewhere");
      socket = new WebSocket(url);
    } catch {
      this.close();
      this.told.textContent = "That is no address on this machine: expected ws://127.0.0.1:8765";
      return;
    }
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    this.#seen = []; this.lost = 0; this.last = this.numbers = null;
    this.button.textContent = "Stop";
    this.told.textContent = "waiting for it …";
    socket.onmessage = ({ data }) => {
      if (typeof data === "string") {
        let said = {};
        try { said = JSON.parse(data); } catch { /* somebody else */ }
        this.told.textContent = said?.duomorph ? `${said.subject}, ${said.fps} fps` : "somebody else is there: expected duomorph live --sink ws://";
        return;
      }
      const view = new DataView(data);
      if (data.byteLength < FRAME || view.getUint32(0, true) !== 1) return;
      const number = view.getUint32(4, true);
      if (this.last !== null && number > this.last + 1) this.lost += number - this.last - 1;
      this.last = number;
      const now = Date.now(), heard = data.byteLength >= MOMENT ? 1000 * view.getFloat64(FRAME, true) : NaN;
      this.#seen.push({ now, late: now - heard });
      while (this.#seen[0].now < now - KEPT_MS) this.#seen.shift();
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
    const now = Date.now(), second = this.#seen.filter((one) => one.now > now - 1000);
    const late = second.map((one) => one.late).sort((a, b) => a - b);
    this.numbers = { fps: second.length, late: late[late.length >> 1] ?? NaN,
      worst: this.#seen.reduce((a, one) => Math.max(a, one.late), -Infinity), lost: this.lost, frame: this.last };
    for (const [name, cell] of Object.entries(this.shown))
      cell.textContent = Number.isFinite(this.numbers[name]) ? this.numbers[name].toFixed(0) : "–";
  }
}
