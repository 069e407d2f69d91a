/** What the static page does in the server's place: x as people see it, and what they give as x.
 *
 * x is one item in the model's space, flat; `facts.reading` says what stands where.
 */

import { toBytes, toText } from "./base64";
import type { CategoryColumn, Column, Given, NumberColumn, Reading, Shown } from "./facts";
import { SourceError } from "./source";

type Flat = ArrayLike<number>;

/** Piecewise linear between knots, level outside them; the knots ascend. */
export function interpolate(x: number, knots: Flat, values: Flat): number {
  const last = knots.length - 1;
  if (!(x > knots[0])) return values[0];
  if (x >= knots[last]) return values[last];
  let high = 1;
  while (knots[high] < x) high++;
  const share = (x - knots[high - 1]) / (knots[high] - knots[high - 1] || 1);
  return values[high - 1] + share * (values[high] - values[high - 1]);
}

/** One item in the model's space as the page shows it. */
export function shownOf(reading: Reading, x: Flat): Shown {
  if (reading.form === "image") return { image: { shape: reading.shape, pixels: toText(pixelsOf(x, reading.shape)) } };
  if (reading.form === "cells") return { cells: reading.columns.map((column) => cellOf(column, x)) };
  if (reading.form === "parts")
    return {
      parts: reading.parts.map(({ name, at, width, reading: part }) => ({ name, shown: shownOf(part, slice(x, at, width)) })),
    };
  throw new SourceError("texts are not read in the page", "", "explore the run with a server");
}

const slice = (x: Flat, at: number, width: number): number[] => Array.from({ length: width }, (_, i) => x[at + i]);

/** (C, H, W) in [0, 1] as bytes (H, W, C). */
function pixelsOf(x: Flat, [height, width, channels]: number[]): Uint8ClampedArray {
  const pixels = new Uint8ClampedArray(height * width * channels);
  const plane = height * width;
  for (let c = 0; c < channels; c++) for (let i = 0; i < plane; i++) pixels[i * channels + c] = Math.round(255 * x[c * plane + i]);
  return pixels;
}

function cellOf(column: Column, x: Flat): string {
  if (column.kind === "category") return column.names[largest(x, column.at, column.width)] ?? "";
  const value = interpolate(x[column.at], column.knots, column.values);
  return Number.isFinite(value) ? value.toFixed(column.decimals) : "";
}

function largest(x: Flat, at: number, width: number): number {
  let best = 0;
  for (let i = 1; i < width; i++) if (x[at + i] > x[at + best]) best = i;
  return best;
}

/** What someone gave, in the model's space; x is as wide as the model's items. */
export function xOf(reading: Reading, given: Given, width: number): Float32Array {
  const x = new Float32Array(width);
  if (reading.form === "image" && "image" in given) fillImage(x, given.image.pixels, reading.shape);
  else if (reading.form === "cells" && "cells" in given) reading.columns.forEach((column, i) => fillCell(x, column, given.cells[i] ?? ""));
  else if (reading.form === "parts" && "parts" in given)
    for (const part of reading.parts) {
      const found = given.parts.find(({ name }) => name === part.name);
      if (found) x.set(xOf(part.reading, found.given, part.width), part.at);
    }
  else throw new SourceError("this is not an item of this run", "E212");
  return x;
}

function fillImage(x: Float32Array, pixels: string, [height, width, channels]: number[]): void {
  const bytes = toBytes(pixels);
  const plane = height * width;
  for (let c = 0; c < channels; c++) for (let i = 0; i < plane; i++) x[c * plane + i] = bytes[i * channels + c] / 255;
}

function fillCell(x: Float32Array, column: Column, text: string): void {
  if (text.trim() === "") return;
  if (column.kind === "category") x[column.at + categoryOf(column, text)] = 1;
  else x[column.at] = interpolate(numberOf(column, text), column.values, column.knots);
}

function categoryOf(column: CategoryColumn, text: string): number {
  const at = column.names.indexOf(text);
  if (at < 0) throw new SourceError(`${column.name}: there is no “${text}”`, "E212", `one of ${column.names.slice(0, 8).join(", ")}`);
  return at;
}

function numberOf(column: NumberColumn, text: string): number {
  const value = Number(text);
  if (!Number.isFinite(value)) throw new SourceError(`${column.name}: “${text}” is not a number`, "E212", "write it like 12.5");
  return value;
}
