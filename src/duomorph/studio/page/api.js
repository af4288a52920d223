// What the studio does for us over HTTP; a failure is an Error whose message is the studio's sentence.

export async function ask(path, body) {
  let answer;
  try {
    answer = await fetch(path, body === undefined ? {} : { method: "POST", body });
  } catch {
    throw new Error("the studio is gone: start it again, this page comes back by itself");
  }
  if (answer.ok) return answer;
  const said = await answer.text();
  let told = said;
  try { told = JSON.parse(said).error ?? said; } catch { /* plain text */ }
  throw new Error(told || `the studio answered ${answer.status}`);
}

// A parcel: u32 length of the JSON, the JSON, the parts (duomorph/studio/parcel.py).
export function pack(said, parts) {
  const bytes = Object.values(parts).map((part) => ArrayBuffer.isView(part)
    ? new Uint8Array(part.buffer, part.byteOffset, part.byteLength) : new Uint8Array(part));
  const sizes = Object.fromEntries(Object.keys(parts).map((name, k) => [name, bytes[k].length]));
  const text = new TextEncoder().encode(JSON.stringify({ ...said, parts: sizes }));
  return new Blob([new Uint32Array([text.length]), text, ...bytes]);
}

export function unpack(buffer) {
  const length = new DataView(buffer).getUint32(0, true), parts = {};
  const said = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  let at = 4 + length;
  for (const [name, size] of Object.entries(said.parts)) {
    parts[name] = buffer.slice(at, at + size);
    at += size;
  }
  return { said, parts };
}

export function save(blob, name) {
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
