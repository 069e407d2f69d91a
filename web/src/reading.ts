/** What the static page does in the server's place: x as people see it, and what they give as x.
 *
 * x is one item in the model's space, flat; `facts.reading` says what stands where (explorer/reading.py and
 * cell_texts.py tell it). NaN is what was not observed.
 */

import { toBytes, toText } from "./base64";
import { cellOf, fillCell, settleCell } from "./cells";
import type { Given, Reading, Shown } from "./facts";
import { SourceError, type Condition } from "./source";

type Flat = ArrayLike<number>;

/** One item in the model's space as the page shows it. */
export function shownOf(reading: Reading, x: Flat, condition: Condition = null): Shown {
  switch (reading.form) {
    case "image":
      return { image: { shape: reading.shape, pixels: toText(pixelsOf(x, reading.shape)) } };
    case "cells":
      return { cells: reading.columns.map((column) => cellOf(column, x, condition)) };
    case "text":
      return { text: textOf(x, reading.characters ?? []) };
    case "parts":
      return {
        parts: reading.parts.map(({ name, at, width, reading: own }) => ({ name, shown: shownOf(own, partOf(x, at, width)) })),
      };
  }
}

const partOf = (x: Flat, at: number, width: number): number[] => Array.from({ length: width }, (_, i) => x[at + i]);

/** (C, H, W) in [0, 1] as bytes (H, W, C). */
function pixelsOf(x: Flat, [height, width, channels]: number[]): Uint8ClampedArray {
  const pixels = new Uint8ClampedArray(height * width * channels);
  const plane = height * width;
  for (let c = 0; c < channels; c++)
    for (let i = 0; i < plane; i++) pixels[i * channels + c] = Math.round(255 * (x[c * plane + i] || 0));
  return pixels;
}

/** Token i + 1 is character i; 0 ends. */
function textOf(x: Flat, characters: string[]): string {
  let text = "";
  for (let i = 0; i < x.length; i++) {
    const token = Math.round(x[i]);
    if (!(token > 0)) break;
    text += characters[token - 1] ?? "";
  }
  return text;
}

/** What someone gave, in the model's space; `width` numbers. */
export function xOf(reading: Reading, given: Given, width: number): Float32Array {
  if (reading.form === "image" && "image" in given) return imageX(reading, given.image.pixels);
  if (reading.form === "text" && "text" in given) return textX(given.text, reading.characters ?? [], width);
  if (reading.form === "cells" && "cells" in given) {
    const x = new Float32Array(width);
    reading.columns.forEach((column, i) => fillCell(column, given.cells[i] ?? "", x));
    return x;
  }
  if (reading.form === "parts" && "parts" in given) {
    const x = new Float32Array(width).fill(NaN);
    for (const part of reading.parts) {
      const found = given.parts.find(({ name }) => name === part.name);
      if (found) x.set(xOf(part.reading, found.given, part.width), part.at);
    }
    return x;
  }
  throw new SourceError("this is not an item of this run", "E212");
}

/** What the model decoded, as it would be read from data: of whole levels, words, cells; not a text or a byte on the way. */
export function datumOf(reading: Reading, x: Flat): Float32Array {
  switch (reading.form) {
    case "image":
      return Float32Array.from(x, settled(reading));
    case "cells": {
      const found = new Float32Array(x.length);
      reading.columns.forEach((column) => settleCell(column, x, found));
      return found;
    }
    case "text": {
      const tokens = Float32Array.from(x, Math.round);
      const end = tokens.findIndex((token) => !(token > 0));
      return end < 0 ? tokens : tokens.fill(0, end);
    }
    case "parts": {
      const found = new Float32Array(x.length).fill(NaN);
      for (const { at, width, reading: own } of reading.parts) found.set(datumOf(own, partOf(x, at, width)), at);
      return found;
    }
  }
}

/** What becomes of one value of a picture. */
function settled({ x, levels, bits }: Reading & { form: "image" }): (value: number) => number {
  if (x === "open") return (value) => value;
  const steps = bits ? 1 : levels ? levels - 1 : 0;
  const clamped = (value: number): number => Math.min(Math.max(value, 0), 1);
  return steps ? (value) => Math.round(clamped(value) * steps) / steps : clamped;
}

/** Bytes as the model sees them: of few levels or of bits, rounded to one of them. */
function imageX(reading: Reading & { form: "image" }, pixels: string): Float32Array {
  const [height, width, channels] = reading.shape;
  const bytes = toBytes(pixels);
  const plane = height * width;
  const value = settled(reading);
  const x = new Float32Array(bytes.length);
  for (let c = 0; c < channels; c++)
    for (let i = 0; i < plane; i++) x[c * plane + i] = value(bytes[i * channels + c] / 255);
  return x;
}

function textX(text: string, characters: string[], width: number): Float32Array {
  const x = new Float32Array(width);
  const letters = [...text];
  if (letters.length > width) throw new SourceError(`${letters.length} characters; the model reads ${width}`, "E212", "make it shorter");
  letters.forEach((letter, i) => {
    const token = characters.indexOf(letter);
    if (token < 0) throw new SourceError(`the model does not know the character “${letter}”`, "E212", `it knows ${characters.slice(0, 40).join(" ")}`);
    x[i] = token + 1;
  });
  return x;
}

/** c of a label, or of none. */
export function conditionOf(reading: Reading, labels: number, condition: Condition): number[] {
  const told = reading.condition;
  if (told) return condition === null ? told.none : told.labels[condition];
  return Array.from({ length: labels }, (_, label) => (label === condition ? 1 : 0));
}

/** The label that a given row names in its given columns; else the one that was chosen. */
export function labelOf(reading: Reading, given: Given, chosen: Condition): Condition {
  if (reading.form !== "cells" || !("cells" in given)) return chosen;
  const told = reading.columns.flatMap((column, i) => (column.kind === "given" ? [{ texts: column.texts, i }] : []));
  if (!told.length) return chosen;
  const found = told[0].texts.findIndex((_, label) => told.every(({ texts, i }) => texts[label] === given.cells[i]));
  return found < 0 ? chosen : found;
}
