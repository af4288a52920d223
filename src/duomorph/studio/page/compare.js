// A capture beside what we made of the sound: its curves, a second face, and how far apart they are.
import { ask, pack, unpack } from "./api.js";
import { POSE, Take } from "./take.js";

const make = (kind, more = {}) => Object.assign(document.createElement(kind), more);
const told = (x, digits = 3) => x === null || x === undefined ? "–" : x.toFixed(digits);

export class Compare extends EventTarget {
  truth = null;

  constructor(panel, names) {
    super();
    this.names = names;
    const file = make("input", { type: "file", accept: ".csv,.json,.jsonl,.npz", className: "hidden" });
    const label = make("label", { className: "button", textContent: "Open a capture …" });
    label.append(file);
    file.onchange = () => { if (file.files[0]) this.dispatchEvent(new CustomEvent("file", { detail: file.files[0] })); file.value = ""; };
    this.leave = make("button", { textContent: "Close it", hidden: true, onclick: () => { this.truth = null; this.#show(); this.dispatchEvent(new Event("change")); } });
    const row = make("p", { className: "row" });
    row.append(label, this.leave);
    this.told = make("p", { className: "faint", role: "status",
      textContent: "A CSV of Live Link Face, or another curve file, captured with this sound: its curves are dashed." });
    this.table = make("table");
    panel.append(row, this.told, this.table);
  }

  async open(file) {
    const { said, parts } = unpack(await (await ask("/api/capture", file)).arrayBuffer());
    const take = new Take(file.name, 0, said.fps);
    take.start = said.start;
    take.curves.put(new Float32Array(parts.curves));
    this.truth = Object.assign(take, { captured: said.captured });
    this.#show();
    this.dispatchEvent(new Event("change"));
  }

  async score(take) {
    if (!this.truth || !take?.frames) return;
    const said = { fps: take.fps, truth_fps: this.truth.fps, captured: this.truth.captured };
    const data = (one) => one.curves.data.slice(0, one.frames * POSE);
    const found = await (await ask("/api/scores", pack(said, { curves: data(take), truth: data(this.truth) }))).json();
    this.scores = found;
    const way = found.lag > 0 ? "late" : "early";
    const lag = found.lag === null ? "" : `; the jaw is ${found.lag ? `${Math.abs(found.lag)} frame${Math.abs(found.lag) > 1 ? "s" : ""} ${way}` : "in time"}`;
    this.told.textContent = `${found.frames} frames in common${lag}. MAE: mean absolute difference; r: correlation.`;
    const rows = [...Object.entries(found.groups).map(([name, { mae, r }]) => [name, mae, r]),
      ...this.names.map((name) => [name, found.mae[name], found.r[name]])];
    const head = make("tr");
    head.append(...["", "MAE", "r"].map((text) => make("th", { textContent: text, scope: "col" })));
    this.table.replaceChildren(head, ...rows.map(([name, mae, r]) => {
      const row = make("tr");
      row.append(make("th", { textContent: name, scope: "row" }), make("td", { textContent: told(mae) }), make("td", { textContent: told(r, 2) }));
      return row;
    }));
  }

  #show() {
    this.leave.hidden = !this.truth;
    this.table.replaceChildren();
    this.scores = null;
    this.told.textContent = this.truth ? `${this.truth.name}: ${this.truth.frames} frames at ${+this.truth.fps.toFixed(2)} fps`
      : "A CSV of Live Link Face, or another curve file, captured with this sound: its curves are dashed.";
  }
}
