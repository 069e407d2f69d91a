/** An item drawn on a canvas, for films: pixels enlarged, cells and texts as lines. */

import { toBytes } from "./base64";
import type { Reading, Shown } from "./facts";
import { columnNames, partReading, rgba } from "./shown";

const SIDE = 256;
const LINE = 20;

export function frameOf(shown: Shown, reading: Reading | undefined): HTMLCanvasElement {
  if ("image" in shown) return pictureFrame(shown.image.pixels, shown.image.shape);
  if ("cells" in shown) return linesFrame(shown.cells.map((cell, i) => `${columnNames(reading)[i] ?? i + 1}: ${cell}`));
  if ("text" in shown) return linesFrame(shown.text.match(/.{1,40}/gs) ?? [""]);
  return stacked(shown.parts.map((part) => frameOf(part.shown, partReading(reading, part.name))));
}

function blank(width: number, height: number): [HTMLCanvasElement, CanvasRenderingContext2D] {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width, height];
  const context = canvas.getContext("2d", { willReadFrequently: true })!;
  context.fillStyle = "#fff";
  context.fillRect(0, 0, width, height);
  return [canvas, context];
}

function pictureFrame(pixels: string, shape: number[]): HTMLCanvasElement {
  const [height, width] = shape;
  const [small, brush] = blank(width, height);
  brush.putImageData(rgba(toBytes(pixels), shape), 0, 0);
  const times = Math.max(1, Math.floor(SIDE / Math.max(width, height)));
  const [large, context] = blank(width * times, height * times);
  context.imageSmoothingEnabled = false;
  context.drawImage(small, 0, 0, large.width, large.height);
  return large;
}

function linesFrame(lines: string[]): HTMLCanvasElement {
  const [canvas, context] = blank(400, LINE * lines.length + 16);
  context.fillStyle = "#111";
  context.font = "14px system-ui, sans-serif";
  lines.forEach((line, i) => context.fillText(line, 10, LINE * (i + 1), 380));
  return canvas;
}

function stacked(parts: HTMLCanvasElement[]): HTMLCanvasElement {
  const width = Math.max(...parts.map((part) => part.width));
  const [canvas, context] = blank(width, parts.reduce((sum, part) => sum + part.height, 0));
  let top = 0;
  for (const part of parts) {
    context.drawImage(part, 0, top);
    top += part.height;
  }
  return canvas;
}

/** The same frames on canvases of one size. */
export function level(frames: HTMLCanvasElement[]): HTMLCanvasElement[] {
  const width = Math.max(...frames.map((one) => one.width));
  const height = Math.max(...frames.map((one) => one.height));
  return frames.map((one) => {
    if (one.width === width && one.height === height) return one;
    const [canvas, context] = blank(width, height);
    context.drawImage(one, 0, 0);
    return canvas;
  });
}
