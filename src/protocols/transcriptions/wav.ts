const LONGEST_HEADER = 4096;

/** How long a WAV recording lasts, in seconds; undefined for recordings of other kinds. */
export function wavSeconds(bytes: Uint8Array): number | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (name(bytes, 0) !== "RIFF" || name(bytes, 8) !== "WAVE") return undefined;
  let bytesPerSecond = 0;
  for (let at = 12; at + 8 <= Math.min(bytes.length, LONGEST_HEADER);) {
    const chunk = name(bytes, at);
    const size = view.getUint32(at + 4, true);
    if (chunk === "fmt " && at + 20 <= bytes.length) bytesPerSecond = view.getUint32(at + 16, true);
    if (chunk === "data") {
      // Recorders that write while they listen leave the size open.
      const length = Math.min(size === 0 ? Infinity : size, bytes.length - at - 8);
      return bytesPerSecond === 0 ? undefined : length / bytesPerSecond;
    }
    // Chunks begin at even places.
    at += 8 + size + (size % 2);
  }
  return undefined;
}

function name(bytes: Uint8Array, at: number): string {
  return String.fromCharCode(...bytes.subarray(at, at + 4));
}
