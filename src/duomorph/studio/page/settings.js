// The knobs, by the names of the command line's flags; kept as the TOML that  duomorph animate --settings  reads.
import { ask, save } from "./api.js";

const SLIDERS = [["delay_ms", "Listens ahead", 0, 200, 1, 100, " ms"], ["intensity", "Intensity", 0, 3, 0.05, 1, ""],
  ["expressiveness", "Expressiveness", 0, 3, 0.05, 1, ""], ["hold_ms", "Closures last", 0, 200, 1, 0, " ms"]];
const TURNS = ["intensity", "expressiveness", "idle"];  // what a running voice takes

const make = (kind, more = {}) => Object.assign(document.createElement(kind), more);

export class Settings extends EventTarget {
  #inputs = {}; #emotions = {}; #gains = {}; #rest = {};

  constructor(form, facts) {
    super();
    this.usual = { style: facts.style, idle: "calm", gate: true, close_limit: true };
    form.onsubmit = (event) => event.preventDefault();
    const heading = (text) => form.append(make("h2", { textContent: text }));
    heading("Voice");
    this.#choice(form, "style", "Style", facts.styles);
    for (const slider of SLIDERS) this.#inputs[slider[0]] = this.#slider(form, ...slider);
    heading("Life");
    this.#choice(form, "idle", "Blinks, gaze, head", ["off", "calm", "lively"]);
    heading("Emotion");
    for (const name of facts.emotions) this.#emotions[name] = this.#slider(form, name, name, 0, 1, 0.05, 0, "");
    heading("Gain of a shape");
    for (const name of [...Object.keys(facts.groups), ...facts.names]) {
      const holder = Object.keys(facts.groups).includes(name) ? form : this.more ??= form.appendChild(make("details"));
      if (holder !== form && !holder.firstChild) holder.append(make("summary", { textContent: "each of the 52" }));
      this.#gains[name] = this.#slider(holder, name, name, 0, 3, 0.05, 1, "");
    }
    const row = make("p", { className: "row" }), file = make("input", { type: "file", accept: ".toml", className: "hidden" });
    const load = make("label", { className: "button", textContent: "Load …" });
    load.append(file);
    row.append(make("button", { type: "button", textContent: "Save", onclick: () => this.save() }), load,
      make("button", { type: "button", textContent: "As it was", onclick: () => { this.take({}); this.#changed(); } }));
    form.append(make("h2", { textContent: "File" }), row, make("p", { className: "faint", textContent: "duomorph animate speech.wav -o speech.csv --settings studio.toml" }));
    file.onchange = () => { if (file.files[0]) this.load(file.files[0]); file.value = ""; };
    this.take({ idle: "calm" });
  }

  #slider(holder, name, label, least, most, step, usual, unit) {
    const id = `knob-${name}-${usual}`, row = make("div", { className: "field" }), told = make("output");
    const input = make("input", { type: "range", id, min: least, max: most, step, value: usual });
    row.append(make("label", { htmlFor: id, textContent: label }), input, told);
    holder.append(row);
    input.usual = usual;
    input.tell = () => { told.textContent = `${+input.value}${unit}`; };
    input.oninput = () => { input.tell(); this.#changed(name, input); };
    return input;
  }
  #choice(holder, name, label, options) {
    const row = make("div", { className: "field" }), input = make("select", { id: `knob-${name}` });
    input.append(...options.map((option) => make("option", { textContent: option })));
    row.append(make("label", { htmlFor: input.id, textContent: label }), input);
    holder.append(row);
    input.usual = this.usual[name];
    input.tell = () => {};
    input.oninput = () => this.#changed(name, input);
    this.#inputs[name] = input;
  }

  // As the studio takes them; what is as usual is left out, but for how the face lives.
  get value() {
    const read = (input) => input.type === "range" ? +input.value : input.value, found = { ...this.#rest };
    for (const [name, input] of Object.entries(this.#inputs)) if (read(input) !== input.usual || name === "idle") found[name] = read(input);
    const moved = (inputs, as) => Object.fromEntries(Object.entries(inputs).filter(([, input]) => read(input) !== input.usual)
      .map(([name, input]) => [name, as(read(input), name)]));
    const emotion = moved(this.#emotions, (x) => x), shapes = { ...this.others };
    for (const [name, entry] of Object.entries(moved(this.#gains, (gain) => ({ gain })))) shapes[name] = { ...shapes[name], ...entry };
    if (Object.keys(emotion).length) found.emotion = emotion;
    if (Object.keys(shapes).length) found.shapes = shapes;
    return found;
  }

  take({ emotion = {}, shapes = {}, ...rest }) {
    this.others = {};
    for (const [name, input] of Object.entries(this.#inputs)) { input.value = rest[name] ?? input.usual; delete rest[name]; }
    this.#rest = rest;  // what has no knob here: smooth, seed, gate, ...
    for (const [name, input] of Object.entries(this.#emotions)) input.value = emotion[name] ?? 0;
    for (const input of Object.values(this.#gains)) input.value = 1;
    for (const [name, { gain, ...others }] of Object.entries(shapes)) {
      const ours = this.#gains[name] && gain !== undefined;
      if (ours) this.#gains[name].value = gain;
      else if (gain !== undefined) others.gain = gain;
      if (Object.keys(others).length) this.others[name] = others;
    }
    for (const input of [this.#inputs, this.#emotions, this.#gains].flatMap(Object.values)) input.tell();
  }

  #changed(name, input) {
    const emotion = Object.entries(this.#emotions).find(([, one]) => one === input)?.[0];
    const gain = Object.entries(this.#gains).find(([, one]) => one === input)?.[0];
    const knobs = emotion ? { emotion: { [emotion]: +input.value } } : gain ? { gain: { [gain]: +input.value } }
      : TURNS.includes(name) ? { [name]: name === "idle" ? input.value : +input.value } : null;
    this.dispatchEvent(new CustomEvent("change", { detail: knobs }));
  }

  async save() {
    try { save(await (await ask("/api/settings", JSON.stringify(this.value))).blob(), "studio.toml"); } catch (problem) { this.#trouble(problem); }
  }
  async load(file) {
    try {
      const text = await file.text();
      if (text.trimStart().startsWith("{")) throw new Error("the file is no TOML: expected lines such as intensity = 1.2");
      const said = await (await ask("/api/settings", text)).json();
      if (said.mapping) { this.dispatchEvent(new CustomEvent("mapping", { detail: { text, name: file.name } })); return; }
      this.take(said);
      this.#changed();
    } catch (problem) { this.#trouble(problem); }
  }
  #trouble(problem) { this.dispatchEvent(new CustomEvent("trouble", { detail: problem.message })); }
}
