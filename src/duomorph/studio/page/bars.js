// The 52 shapes as bars; a click on a name puts its curve on the timeline, or takes it off.
import { HUES } from "./timeline.js";

export class Bars extends EventTarget {
  #fills = [];
  constructor(panel, groups, names) {
    super();
    this.chosen = new Map();
    for (const [group, members] of Object.entries(groups)) {
      const list = document.createElement("ul");
      list.className = "shapes";
      panel.append(Object.assign(document.createElement("h2"), { textContent: group }), list);
      for (const name of members) {
        const shape = names.indexOf(name), row = document.createElement("li"), bar = document.createElement("div");
        const button = Object.assign(document.createElement("button"), { textContent: name, title: `${name}: show its curve` });
        button.setAttribute("aria-pressed", "false");
        button.onclick = () => this.choose(shape, !this.chosen.has(shape));
        bar.className = "bar";
        bar.append(this.#fills[shape] = document.createElement("i"));
        bar.setAttribute("aria-hidden", "true");
        row.append(button, bar);
        list.append(row);
        this.#fills[shape].button = button;
      }
    }
  }
  choose(shape, on) {
    const { button } = this.#fills[shape];
    if (on) {
      const taken = new Set(this.chosen.values());
      this.chosen.set(shape, HUES.find((hue) => !taken.has(hue)) ?? HUES[shape % HUES.length]);
    } else this.chosen.delete(shape);
    button.setAttribute("aria-pressed", on);
    button.style.setProperty("--dot", this.chosen.get(shape) ?? "");
    this.#fills[shape].style.background = this.chosen.get(shape) ?? "";
    this.dispatchEvent(new Event("change"));
  }
  show(pose) {
    for (let k = 0; k < this.#fills.length; k++) this.#fills[k].style.transform = `scaleX(${pose[k].toFixed(3)})`;
  }
}
