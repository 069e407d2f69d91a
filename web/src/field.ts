/** The ground of a map: denser where more items lie, hatched where none do. */

import type { Camera } from "./camera";
import { toScreen } from "./camera";
import type { LatentMap, Numbers } from "./facts";

export interface Ink {
  off: string;
  hatch: string;
  dense: string;
}

const FINER = 4; // pixels of the ground for each cell of the density, along each axis

interface Ground {
  /** Opaque on the data, clear off them. */
  on: HTMLCanvasElement;
  /** The denser, the more of its ink. */
  dense: HTMLCanvasElement;
}

let last: { values: Numbers; ink: string; ground: Ground } | null = null;

/** Both pictures, row 0 at the bottom; kept until the map or its ink changes. */
function groundOf(map: LatentMap, values: Numbers, ink: string): Ground {
  if (last?.values === values && last.ink === ink) return last.ground;
  const [h, w] = map.density.shape;
  const fine = finer(values, h, w);
  const ground = {
    on: tinted(fine, h, w, "#000", (value) => (value >= map.off ? 255 : 0)),
    dense: tinted(fine, h, w, ink, (value) => (value >= map.off ? (100 * value) / 255 : 0)),
  };
  last = { values, ink, ground };
  return ground;
}

/** Between the middles of four cells, straight. */
function finer(values: Numbers, h: number, w: number): Float32Array {
  const fine = new Float32Array(h * w * FINER ** 2);
  const clamp = (at: number, most: number): number => Math.max(0, Math.min(most - 1, at));
  for (let row = 0; row < h * FINER; row++) {
    const up = (row + 0.5) / FINER - 0.5;
    const [low, high] = [clamp(Math.floor(up), h) * w, clamp(Math.floor(up) + 1, h) * w];
    const rise = up - Math.floor(up);
    for (let column = 0; column < w * FINER; column++) {
      const across = (column + 0.5) / FINER - 0.5;
      const [left, right] = [clamp(Math.floor(across), w), clamp(Math.floor(across) + 1, w)];
      const run = across - Math.floor(across);
      const bottom = values[low + left] * (1 - run) + values[low + right] * run;
      const top = values[high + left] * (1 - run) + values[high + right] * run;
      fine[row * w * FINER + column] = bottom * (1 - rise) + top * rise;
    }
  }
  return fine;
}

function tinted(fine: Float32Array, h: number, w: number, ink: string, alpha: (value: number) => number): HTMLCanvasElement {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [w * FINER, h * FINER];
  const context = canvas.getContext("2d", { willReadFrequently: true })!;
  context.fillStyle = ink;
  context.fillRect(0, 0, canvas.width, canvas.height);
  const image = context.getImageData(0, 0, canvas.width, canvas.height);
  for (let row = 0; row < canvas.height; row++)
    for (let column = 0; column < canvas.width; column++)
      image.data[4 * ((canvas.height - 1 - row) * canvas.width + column) + 3] = alpha(fine[row * canvas.width + column]);
  context.putImageData(image, 0, 0);
  return canvas;
}

function hatching(ink: Ink, ratio: number): CanvasPattern | null {
  const tile = document.createElement("canvas");
  tile.width = tile.height = Math.round(8 * ratio);
  const context = tile.getContext("2d")!;
  context.scale(ratio, ratio);
  context.fillStyle = ink.off;
  context.fillRect(0, 0, 8, 8);
  context.strokeStyle = ink.hatch;
  context.lineWidth = 1;
  context.beginPath();
  for (const shift of [-8, 0, 8]) {
    context.moveTo(shift, 8);
    context.lineTo(shift + 8, 0);
  }
  context.stroke();
  return context.createPattern(tile, "repeat");
}

export function paintField(canvas: HTMLCanvasElement, map: LatentMap, values: Numbers, camera: Camera, ink: Ink): void {
  const context = canvas.getContext("2d");
  if (!context || !camera.width) return;
  const ratio = canvas.width / camera.width;
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.fillStyle = hatching(ink, ratio) ?? ink.off;
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  const [left, top] = toScreen(camera, [map.extent[0], map.extent[3]]);
  const [right, bottom] = toScreen(camera, [map.extent[1], map.extent[2]]);
  const ground = groundOf(map, values, ink.dense);
  context.globalCompositeOperation = "destination-out";
  context.drawImage(ground.on, left, top, right - left, bottom - top);
  context.globalCompositeOperation = "source-over";
  context.drawImage(ground.dense, left, top, right - left, bottom - top);
}
