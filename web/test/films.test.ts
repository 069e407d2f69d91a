import { expect, it } from "vitest";
import { gif } from "../src/gif";
import { animated, chunks } from "../src/webp";

const word = (bytes: Uint8Array, from: number, to: number): string => String.fromCharCode(...bytes.subarray(from, to));

it("a GIF holds its frames, their size, their pace, and goes on for ever", () => {
  const frame = (grey: number) => ({ width: 3, height: 2, data: new Uint8ClampedArray(24).map((_, i) => (i % 4 === 3 ? 255 : grey)) });
  const bytes = gif([frame(0), frame(128), frame(255)], 160);
  expect(word(bytes, 0, 6)).toBe("GIF89a");
  expect([bytes[6], bytes[8]]).toEqual([3, 2]);
  const text = word(bytes, 0, bytes.length);
  expect(text.split("\x21\xf9\x04")).toHaveLength(4);
  expect(text).toContain("NETSCAPE2.0");
  const control = text.indexOf("\x21\xf9\x04");
  expect(bytes[control + 4] + 256 * bytes[control + 5]).toBe(16);
  expect(bytes.at(-1)).toBe(0x3b);
});

const still = (body: number[]): Uint8Array => {
  const padded = body.length % 2 ? [...body, 0] : body;
  const ascii = (text: string): number[] => [...text].map((letter) => letter.charCodeAt(0));
  return Uint8Array.from([...ascii("RIFF"), padded.length + 12, 0, 0, 0, ...ascii("WEBPVP8L"), body.length, 0, 0, 0, ...padded]);
};

it("stills become one animated WebP whose frames hold their very chunks", () => {
  const bytes = animated([still([1, 2, 3]), still([9, 8, 7, 6])], 300, 20, 1000);
  const found = chunks(bytes);
  expect(found.map(({ name }) => name)).toEqual(["VP8X", "ANIM", "ANMF", "ANMF"]);
  expect(new DataView(bytes.buffer).getUint32(4, true)).toBe(bytes.length - 8);
  const [canvas, , first, second] = found.map(({ body }) => body);
  expect(canvas[0] & 2).toBe(2);
  expect([...canvas.subarray(4)]).toEqual([43, 1, 0, 19, 0, 0]);
  expect([...first.subarray(6, 15)]).toEqual([43, 1, 0, 19, 0, 0, 232, 3, 0]);
  expect(word(first, 16, 20)).toBe("VP8L");
  expect([...first.subarray(24, 28)]).toEqual([1, 2, 3, 0]);
  expect([...second.subarray(24)]).toEqual([9, 8, 7, 6]);
});

it("what is not WebP is refused", () => {
  expect(() => chunks(new Uint8Array(20))).toThrow("WebP");
});
