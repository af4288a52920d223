// A capture beside what we made of the sound: its curves, a second face, and how far apart they are, shape by shape.
import { ask, pack, unpack } from "./api.js";
import { POSE, Take } from "./take.js";

const make = (kind, more = {}) => Object.assign(document.createElement(kind), more);
const told = (x, digits = 3) => x === null || x === undefined ? "–" : x.toFixed(digits);

const PLAIN = ["mae", "r", "bias", "size"];
const COLUMNS = { mae: { label: "MAE", title: "mean absolute difference", digits: 3 }, r: { label: "r", title: "correlation", digits: 2 },
  bias: { label: "bias", title: "mean of prediction less capture", digits: 3 },
  size: { label: "size", title: "how far it moves against the capture, 1: as far", digits: 2 },
  worst: { label: "farthest", title: "the greatest difference", digits: 2 } };
// How bad a score is: what is farthest from a perfect one comes first, what has none last.
const rank = (score, value) => value === null ? -1 : score === "r" ? 1 - value : score === "size" ? Math.abs(Math.log(Math.max(value, 1e-3))) : Math.abs(value);

export class Compare extends EventTarget {
  truth = null; by = null;

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
    const { fps, start, captured } = this.truth, said = { fps: take.fps, truth_fps: fps, truth_start: start, captured };
    const data = (one) => one.curves.data.slice(0, one.frames * POSE);
    const found = await (await ask("/api/scores", pack(said, { curves: data(take), truth: data(this.truth) }))).json();
    this.scores = found;
    const way = found.lag > 0 ? "late" : "early";
    const lag = found.lag === null ? "" : `; the jaw is ${found.lag ? `${Math.abs(found.lag)} frame${Math.abs(found.lag) > 1 ? "s" : ""} ${way}` : "in time"}`;
    this.told.textContent = `${found.frames} frames in common${lag}. Farthest: prediction less capture, and its moment; a click goes there.`;
    this.#list();
  }

  // Groups first, then the shapes by the column whose head was pressed.
  #list() {
    const { scores: found } = this, value = (name) => found[this.by]?.[name] ?? null;
    const shapes = this.by ? this.names.toSorted((a, b) => rank(this.by, value(b)) - rank(this.by, value(a))) : this.names;
    const head = make("tr"), body = [];
    head.append(make("th", { textContent: "", scope: "col" }), ...Object.entries(COLUMNS).map(([score, { label, title }]) => {
      const cell = make("th", { scope: "col", ariaSort: score === this.by ? "descending" : "none" });
      cell.append(make("button", { textContent: label, title: `${title}; press to have the shapes in its order`,
        onclick: () => { this.by = score === this.by ? null : score; this.#list(); this.table.querySelector(`[data-score=${score}]`).focus(); } }));
      cell.firstChild.dataset.score = score;
      return cell;
    }));
    const row = (name, cells) => {
      const line = make("tr");
      line.append(make("th", { scope: "row", textContent: name }), ...cells);
      body.push(line);
    };
    const plain = (scores) => PLAIN.map((score) => make("td", { textContent: told(scores(score), COLUMNS[score].digits) }));
    for (const [name, scores] of Object.entries(found.groups)) row(name, [...plain((score) => scores[score]), make("td")]);
    for (const name of shapes) {
      const cell = make("td"), at = found.at[name];
      if (found.worst[name] !== null) {
        const go = make("button", { textContent: told(found.worst[name], 2), title: `at ${at.toFixed(2)} s`,
          onclick: () => this.dispatchEvent(new CustomEvent("go", { detail: { at, shape: this.names.indexOf(name) } })) });
        go.setAttribute("aria-label", `${name} is farthest at ${at.toFixed(2)} seconds, by ${told(found.worst[name], 2)}: go there`);
        cell.append(go);
      } else cell.textContent = "–";
      row(name, [...plain((score) => found[score][name]), cell]);
    }
    this.table.replaceChildren(head, ...body);
  }

  #show() {
    this.leave.hidden = !this.truth;
    this.table.replaceChildren();
    this.scores = null;
    this.told.textContent = this.truth ? `${this.truth.name}: ${this.truth.frames} frames at ${+this.truth.fps.toFixed(2)} fps`
      : "A CSV of Live Link Face, or another curve file, captured with this sound: its curves are dashed.";
  }
}
