// The studio: what is dropped or said becomes a take, the take is spoken by the studio, and the face follows the sound.
import { ask, pack, save } from "./api.js";
import { Bars } from "./bars.js";
import { Compare } from "./compare.js";
import { Head } from "./head.js";
import { Inside } from "./inside.js";
import { Link } from "./link.js";
import { listen } from "./microphone.js";
import { Monitor } from "./monitor.js";
import { NAMES } from "./names.js";
import { Player } from "./player.js";
import { Settings } from "./settings.js";
import { POSE, Take } from "./take.js";
import { Timeline } from "./timeline.js";

const FPS = 60, FIRST_S = 0.3;  // of curves before it is heard
const BEHIND_S = 2;  // that curves may be while it is recorded, before it is said
const $ = (id) => document.getElementById(id);
const KINDS = { csv: "CSV", jsonl: "JSONL", json: "A2F", npz: "NPZ", glb: "GLB", mp4: "MP4" };

const player = new Player(), timeline = new Timeline($("time"));
let take = null, character = null, refused = null, loose = null, microphone = null, starting = false, fresh = true, heard = null, again = 0;
let head = null, settings, bars, compare, inside, monitor, link, facts;
const pose = new Float32Array(POSE), other = new Float32Array(POSE);

function tell(text, bad = false) {
  if ($("state").textContent !== text) $("state").textContent = text;  // or it would be read out again
  $("state").classList.toggle("bad", bad);
}
const trouble = (problem) => tell(problem.message ?? String(problem), true);
const attempt = (work) => async (...all) => { try { await work(...all); } catch (problem) { trouble(problem); } };

// -- a sound comes in

const openSound = attempt(async (data, name) => {
  stopRecording();
  const context = player.ready();
  tell(`reading ${name} …`);
  let buffer;
  try {
    buffer = await context.decodeAudioData(data.slice(0));
  } catch {  // the browser cannot: the studio may
    buffer = await context.decodeAudioData(await (await ask("/api/sound", data)).arrayBuffer());
  }
  if (buffer.duration > facts.longest_s) throw new Error(`the sound is longer than ${facts.longest_s / 60} minutes: cut it, or use duomorph animate`);
  show(Take.of(name, buffer, FPS));
  heard = take;
  speak();
});

function show(next) {
  take = next;
  player.show(take);
  timeline.show(take);
  document.body.classList.add("spoken");
  for (const id of ["play", "back", "on", "loop", "out", "in"]) $(id).disabled = false;
  $("loop").setAttribute("aria-pressed", "false");
  if (document.activeElement === $("sample")) $("time").focus();  // or Space would ask for it again
  fresh = true;
}

// The whole take anew, with the knobs as they are.
function speak() {
  if (!take?.sound.length || microphone) return;
  if (link.begin(take, settings.value)) tell("listening …");
  else tell("waiting for the studio …", true);
}

const openFile = attempt(async (file) => {
  const start = new Uint8Array(await file.slice(0, 4).arrayBuffer()), suffix = file.name.toLowerCase().split(".").pop();
  if (String.fromCharCode(...start) === "glTF") return openCharacter(await file.arrayBuffer(), file.name);
  if (suffix === "toml") return settings.load(file);
  if (["csv", "json", "jsonl", "npz"].includes(suffix)) return openCapture(file);
  return openSound(await file.arrayBuffer(), file.name);
});

// A character, and the mapping of its names where it has one: dropped before it, with it or after it.
async function wear(one) {
  tell(`reading ${one.name} …`);
  refused = one;
  let found;
  try {
    found = await (await ask("/api/character", pack({}, { avatar: one.data, ...one.mapping && { mapping: one.mapping } }))).json();
    await head?.load(one.data, found, facts.presets);
  } catch (problem) { throw new Error(problem.message.replace("use --mapping", "or drop its mapping, a .toml, too")); }
  [character, refused, loose] = [one, null, null];
  const lacking = facts.names.filter((name) => !(name in found.binds)), some = lacking.slice(0, 3).join(", ");
  tell(found.presets ? `${one.name} speaks by vowels, moods and blinks` : `${one.name}: ${52 - lacking.length} of the 52 shapes`
    + (some && `, not ${some}${lacking.length > 3 ? ", …" : ""}`));
  $("caption").textContent = one.name;
  $("own").hidden = false;
  fresh = true;
}
const openCharacter = attempt((data, name) => wear({ data, name, mapping: loose }));
const openMapping = attempt(async ({ text, name }) => {
  const one = refused ?? character;
  if (one) return wear({ ...one, mapping: new TextEncoder().encode(text) });
  loose = new TextEncoder().encode(text);
  tell(`${name}: for the character that comes next`);
});
const ownHead = attempt(async () => {
  await head?.own();
  character = refused = null;
  $("caption").textContent = "";
  $("own").hidden = fresh = true;
  $("face").focus();
  tell("ready");
});

const openCapture = attempt(async (file) => {
  tell(`reading ${file.name} …`);
  await compare.open(file);
  tell(file.name);
  select("compare");
});

// -- the microphone

const record = attempt(async () => {
  if (starting) return;
  if (microphone) return stopRecording();
  starting = true;
  try {
    if (!link.open) throw new Error("the studio is not there: it comes back by itself");
    const context = player.ready();
    const next = new Take("recording", context.sampleRate, FPS), begun = { live: false };
    const ear = await listen(context, (block) => {
      if (!begun.live) return;
      if (take !== next || next.full) return stopRecording();
      next.sound.put(block);
      link.feed(block);
      timeline.view(Math.max(0, next.seconds - 6), Math.max(6, next.seconds));
    });
    show(next);
    if (!link.begin(next, settings.value, true)) { ear.close(); throw new Error("the studio is not there: it comes back by itself"); }
    begun.live = true;
    microphone = ear;
    ear.lost(() => { stopRecording(); tell("the microphone is gone: what it heard is here", true); });
    $("record").setAttribute("aria-pressed", "true");
    $("record").textContent = "Stop";
    tell("recording");
  } finally { starting = false; }
});

function stopRecording() {
  if (!microphone) return;
  microphone.close();
  microphone = null;
  link.end();
  $("record").setAttribute("aria-pressed", "false");
  $("record").textContent = "Record";
  timeline.view(0, take.seconds);
  tell("recorded");
}

// -- what is seen

function now() { return microphone ? Math.max(0, (take.frames - 1) / take.fps) : player.position; }

function draw() {
  requestAnimationFrame(draw);
  const at = take ? now() : 0, moving = player.playing || microphone;
  if (moving || fresh) {
    fresh = false;
    if (take) {
      timeline.loop = player.loop;
      if (moving && !player.loop) timeline.follow(at);
      if (microphone || !take.frames || link.busy) timeline.changed();
      const there = take.at(at, pose);
      if (!there) pose.fill(0);
      const beside = compare?.truth?.at(at, other);
      document.body.classList.toggle("two", Boolean(beside));
      head?.show(pose, ...beside ? [other] : []);
      bars?.show(pose);
      $("clock").textContent = `${at.toFixed(3)} s · frame ${Math.round(at * take.fps)}`;
      if (!moving) inside?.show(take, at, settings.value);
    }
  }
  timeline.draw(at);
  head?.draw();
}

const seek = (seconds) => { if (take && !microphone) player.seek(seconds); fresh = true; };
const step = (frames) => { player.playing && player.stop(); seek((Math.round(player.position * FPS) + frames) / FPS); };
const toggle = () => { if (!take || microphone) return; if (player.playing) player.stop(); else player.play(); };
function loop(range) {
  if (!take || microphone) return;
  player.setLoop(range);
  timeline.loop = range;
  timeline.changed();
  $("loop").setAttribute("aria-pressed", String(range !== null));
}

player.addEventListener("change", () => {
  $("play").textContent = player.playing ? "Pause" : "Play";
  const { position, take: { seconds } } = player, told = { valuemax: seconds.toFixed(3), valuenow: position.toFixed(3) };
  for (const [name, value] of Object.entries({ ...told, valuetext: `${position.toFixed(2)} seconds` }))
    $("time").setAttribute(`aria-${name}`, value);
  fresh = true;
});
timeline.addEventListener("seek", ({ detail }) => seek(detail));
timeline.addEventListener("loop", ({ detail }) => loop(detail));

// -- panels

function select(name) {
  for (const tab of document.querySelectorAll("[role=tab]")) {
    const on = tab.id === `tab-${name}`;
    tab.setAttribute("aria-selected", on);
    tab.tabIndex = on ? 0 : -1;
    $(tab.getAttribute("aria-controls")).hidden = !on;
  }
  if (inside) inside.open = name === "inside";
  fresh = true;
}
for (const tab of document.querySelectorAll("[role=tab]")) {
  tab.onclick = () => select(tab.id.slice(4));
  tab.onkeydown = (event) => {
    const side = { ArrowRight: "nextElementSibling", ArrowLeft: "previousElementSibling" }[event.key];
    if (!side) return;
    event.preventDefault(); event.stopPropagation();
    const next = tab[side] ?? (side[0] === "n" ? tab.parentNode.firstElementChild : tab.parentNode.lastElementChild);
    next.focus();
    select(next.id.slice(4));
  };
}

// -- files out

const exportAs = attempt(async (kind) => {
  if (!take?.frames) throw new Error("nothing to export yet: open a sound or record one");
  if (link.busy) throw new Error("the take is not yet whole: wait a moment");
  tell(`making the ${KINDS[kind]} …`);
  const parts = { curves: take.curves.data.slice(0, take.frames * POSE) };
  if (kind === "glb" && character) Object.assign(parts, { avatar: character.data, ...character.mapping && { mapping: character.mapping } });
  if (kind === "mp4") parts.sound = wave(await take.small());
  const answer = await ask(`/api/export/${kind}`, pack({ fps: take.fps }, parts));
  const name = `${take.name.replace(/\.[^.]*$/, "") || "take"}.${kind}`;
  save(await answer.blob(), name);
  tell(name);
});

function wave(samples) {  // 16 bits, 16 kHz
  const view = new DataView(new ArrayBuffer(44 + 2 * samples.length));
  const words = [0x52494646, 0, 0x57415645, 0x666d7420];
  words.forEach((word, k) => view.setUint32(4 * k, word));
  [[4, 36 + 2 * samples.length, 4], [16, 16, 4], [20, 1, 2], [22, 1, 2], [24, 16000, 4], [28, 32000, 4], [32, 2, 2], [34, 16, 2],
    [40, 2 * samples.length, 4]].forEach(([at, value, size]) => size === 4 ? view.setUint32(at, value, true) : view.setUint16(at, value, true));
  view.setUint32(36, 0x64617461);
  samples.forEach((x, k) => view.setInt16(44 + 2 * k, Math.max(-1, Math.min(1, x)) * 32767, true));
  return view;
}

// -- hands

$("record").onclick = record;
$("play").onclick = toggle;
$("back").onclick = () => step(-1);
$("on").onclick = () => step(1);
$("loop").onclick = () => loop(player.loop ? null : [timeline.from, timeline.to]);
$("in").onclick = () => { timeline.zoom(0.5, now()); };
$("out").onclick = () => { timeline.zoom(2, now()); };
$("file").onchange = ({ target }) => { if (target.files[0]) openFile(target.files[0]); target.value = ""; };
$("own").onclick = ownHead;
$("sample").onclick = attempt(async () => openSound(await (await ask("/sample.flac")).arrayBuffer(), "sample.flac"));
addEventListener("dragover", (event) => { event.preventDefault(); document.body.classList.add("over"); });
addEventListener("dragleave", (event) => { if (!event.relatedTarget) document.body.classList.remove("over"); });
addEventListener("drop", attempt(async (event) => {
  event.preventDefault();
  document.body.classList.remove("over");
  for (const file of event.dataTransfer.files) await openFile(file);
}));
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const { target, key } = event;
  if (target.matches("input[type=text], select, textarea") || (target.matches("input[type=range]") && key !== " ")) return;
  if (key === " " && target.matches("button, summary, label, input:not([type=range])")) return;
  const act = { " ": toggle, ArrowLeft: () => event.shiftKey ? seek(player.position - 1) : step(-1), Home: () => seek(0),
    ArrowRight: () => event.shiftKey ? seek(player.position + 1) : step(1), End: () => seek(take?.seconds ?? 0),
    l: () => $("loop").click(), r: record, "+": () => $("in").click(), "-": () => $("out").click() }[key.length === 1 ? key.toLowerCase() : key];
  if (!act) return;
  event.preventDefault();
  act();
});

// -- the beginning: the head first, then what the studio knows

async function begin() {
  try {
    head = new Head($("face"), NAMES);
    await head.own();
    head.draw();
  } catch (problem) {
    head = null;
    document.body.classList.add("faceless");
    $("hint").textContent = "This browser gives no WebGL, so there is no face to see; curves, bars and export work.";
    console.info(problem);
  }
  requestAnimationFrame(draw);
  while (!facts) {
    try { facts = await (await ask("/api/facts")).json(); } catch (problem) { trouble(problem); await new Promise((on) => setTimeout(on, 700)); }
  }
  bars = new Bars($("bars"), facts.groups, facts.names);
  bars.addEventListener("change", () => { timeline.shapes = bars.chosen; timeline.changed(); fresh = true; });
  for (const name of ["jawOpen", "mouthClose", "mouthPucker", "mouthSmileLeft"]) bars.choose(facts.names.indexOf(name), true);
  settings = new Settings($("settings"), facts);
  settings.addEventListener("trouble", ({ detail }) => tell(detail, true));
  settings.addEventListener("mapping", ({ detail }) => openMapping(detail));
  settings.addEventListener("change", ({ detail }) => {
    if (microphone) { if (detail) link.turn(detail); return; }
    clearTimeout(again);
    again = setTimeout(speak, 250);
  });
  compare = new Compare($("compare"), facts.names);
  const score = attempt(() => compare.score(take));
  compare.addEventListener("file", ({ detail }) => openCapture(detail));
  compare.addEventListener("change", () => { timeline.truth = compare.truth; timeline.changed(); fresh = true; if (!link.busy) score(); });
  compare.addEventListener("go", ({ detail: { at, shape } }) => {
    if (!bars.chosen.has(shape)) bars.choose(shape, true);
    if (player.playing) player.stop();
    if (at < timeline.from || at > timeline.to) timeline.view(at - (timeline.to - timeline.from) / 2);
    seek(at);
  });
  inside = new Inside($("inside"), facts);
  monitor = new Monitor($("monitor"));
  monitor.addEventListener("frame", ({ detail }) => { if (!player.playing && !microphone) { head?.show(detail); bars.show(detail); } });
  for (const kind of facts.formats) {
    const button = Object.assign(document.createElement("button"), { textContent: KINDS[kind], title: `Export as ${KINDS[kind]}` });
    button.setAttribute("aria-label", `Export as ${KINDS[kind]}`);
    button.onclick = () => exportAs(kind);
    $("export").append(button);
  }
  link = new Link(`ws://${location.host}/voice`);
  link.addEventListener("here", () => { if (take && !take.whole) speak(); else tell("ready"); });
  link.addEventListener("gone", () => { stopRecording(); tell("the studio is gone: start it again, this page comes back by itself", true); });
  link.addEventListener("trouble", ({ detail }) => { stopRecording(); tell(detail.error, true); });
  link.addEventListener("frames", ({ detail: { take: some } }) => {
    if (some !== take) return;
    if (!player.playing) fresh = true;
    timeline.changed();
    if (microphone) {
      const behind = some.seconds - some.done / some.fps;
      tell(behind > BEHIND_S ? `recording; this machine is busy, the curves are ${behind.toFixed(0)} s behind` : "recording");
    }
    if (heard === take && some.done / some.fps > FIRST_S) { heard = null; player.play(); }
  });
  link.addEventListener("ended", ({ detail: { take: some } }) => {
    if (some !== take) return;
    if (heard === take) { heard = null; player.play(); }
    timeline.changed();
    fresh = true;
    tell(`${some.name}: ${some.frames} frames`);
    score();
  });
  Object.assign(globalThis, { studio: { player, timeline, link, head, settings, compare, monitor, inside, get take() { return take; } } });
  performance.mark("ready");
}
begin().catch(trouble);
