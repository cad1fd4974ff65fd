// Takes a part of a map as bytes and keeps it for whoever draws: a header in JSON, then arrays.
//
// A part comes once; what changes with a click (colours, rings) comes apart from it, as JSON.

const KEPT = 8; // parts: two of each map that was looked at last
const parts = (globalThis[Symbol.for("feature browser: parts of maps")] ??= new Map());
const TYPES = { f4: Float32Array, i4: Int32Array, u4: Uint32Array, u1: Uint8Array };

export default function ({ data }) {
  const bytes = new Uint8Array(data).slice(); // a copy, so that every array is aligned
  const { buffer } = bytes;
  const start = 4 + new DataView(buffer).getUint32(0, true);
  const part = JSON.parse(new TextDecoder().decode(bytes.subarray(4, start)));
  for (const [name, [type, size, at]] of Object.entries(part.arrays)) {
    part[name] = new TYPES[type](buffer, start + at, size);
  }
  const key = `${part.part} ${part.map}`;
  parts.delete(key); // the part that came last stands last
  parts.set(key, part);
  while (parts.size > KEPT) parts.delete(parts.keys().next().value);
  window.dispatchEvent(new Event("feature-browser-map-part"));
}
