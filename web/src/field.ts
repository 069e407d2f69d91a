/** The ground of a map: denser where more items lie, hatched where none do. */

import type { Camera } from "./camera";
import { toScreen } from "./camera";
import type { LatentMap, Numbers } from "./facts";

export interface Ink {
  off: string;
  hatch: string;
  dense: string;
}

/** The density as a picture (h, w), row 0 on top; the places off the data are left clear. */
function picture(map: LatentMap, values: Numbers, dense: string): HTMLCanvasElement {
  const [h, w] = map.density.shape;
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [w, h];
  const context = canvas.getContext("2d")!;
  context.fillStyle = dense;
  context.fillRect(0, 0, w, h);
  const image = context.getImageData(0, 0, w, h);
  for (let row = 0; row < h; row++)
    for (let column = 0; column < w; column++)
      image.data[4 * ((h - 1 - row) * w + column) + 3] = strength(values[row * w + column]);
  context.putImageData(image, 0, 0);
  return canvas;
}

const strength = (value: number): number => Math.round((100 * value) / 255);

/** The region on the data, as one path of cells in screen pixels. */
function onData(map: LatentMap, values: Numbers, camera: Camera): Path2D {
  const [h, w] = map.density.shape;
  const [x0, x1, y0, y1] = map.extent;
  const path = new Path2D();
  const [wide, tall] = [((x1 - x0) / w) * camera.scale, ((y1 - y0) / h) * camera.scale * camera.stretch];
  const [left, bottom] = toScreen(camera, [x0, y0]);
  for (let row = 0; row < h; row++) {
    let from = -1;
    for (let column = 0; column <= w; column++) {
      const on = column < w && values[row * w + column] >= map.off;
      if (on && from < 0) from = column;
      if (!on && from >= 0) {
        path.rect(left + from * wide, bottom - (row + 1) * tall, (column - from) * wide, tall + 0.5);
        from = -1;
      }
    }
  }
  return path;
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
  context.globalCompositeOperation = "destination-out";
  context.fill(onData(map, values, camera));
  context.globalCompositeOperation = "source-over";
  const [left, top] = toScreen(camera, [map.extent[0], map.extent[3]]);
  const [right, bottom] = toScreen(camera, [map.extent[1], map.extent[2]]);
  context.imageSmoothingEnabled = true;
  context.drawImage(picture(map, values, ink.dense), left, top, right - left, bottom - top);
}
