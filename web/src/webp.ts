/** Still WebP files as one animated WebP: the frames' own chunks, wrapped.
 *
 * RFC 9649 (2024): RIFF { "WEBP", VP8X, ANIM, ANMF… }; sizes are little-endian, chunks padded to even lengths.
 */

const PICTURE = new Set(["ALPH", "VP8 ", "VP8L"]);

interface Chunk {
  name: string;
  body: Uint8Array;
}

export function chunks(file: Uint8Array): Chunk[] {
  const numbers = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const word = (at: number): string => String.fromCharCode(...file.subarray(at, at + 4));
  if (file.length < 12 || word(0) !== "RIFF" || word(8) !== "WEBP") throw new Error("this is not a WebP file");
  const found: Chunk[] = [];
  for (let at = 12; at + 8 <= file.length; ) {
    const size = numbers.getUint32(at + 4, true);
    found.push({ name: word(at), body: file.subarray(at + 8, at + 8 + size) });
    at += 8 + size + (size % 2);
  }
  return found;
}

function joined(parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

const ascii = (text: string): Uint8Array => Uint8Array.from(text, (letter) => letter.charCodeAt(0));
const little = (value: number, bytes: number): number[] =>
  Array.from({ length: bytes }, (_, i) => Math.floor(value / 256 ** i) % 256);

function chunk(name: string, body: Uint8Array): Uint8Array {
  return joined([ascii(name), Uint8Array.from(little(body.length, 4)), body, new Uint8Array(body.length % 2)]);
}

function frame(still: Uint8Array, width: number, height: number, milliseconds: number): Uint8Array {
  const head = [0, 0, width - 1, height - 1, milliseconds].flatMap((value) => little(value, 3));
  const picture = chunks(still).filter(({ name }) => PICTURE.has(name));
  const REPLACE = 2; // do not blend with the frame before
  return chunk("ANMF", joined([Uint8Array.from([...head, REPLACE]), ...picture.map((one) => chunk(one.name, one.body))]));
}

/** Frames of one size, shown for as long each, for ever. */
export function animated(stills: Uint8Array[], width: number, height: number, milliseconds: number): Uint8Array<ArrayBuffer> {
  const [ANIMATION, ALPHA] = [0x02, 0x10];
  const canvas = [ANIMATION | ALPHA, 0, 0, 0, ...little(width - 1, 3), ...little(height - 1, 3)];
  const body = joined([
    ascii("WEBP"),
    chunk("VP8X", Uint8Array.from(canvas)),
    chunk("ANIM", Uint8Array.from([255, 255, 255, 255, 0, 0])),
    ...stills.map((still) => frame(still, width, height, milliseconds)),
  ]);
  return joined([ascii("RIFF"), Uint8Array.from(little(body.length, 4)), body]);
}
