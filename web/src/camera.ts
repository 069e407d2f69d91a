/** What of a map is on screen: its middle (x, y) and how many pixels a unit takes. The y axis points up.
 *
 * A unit is as long up as across, but for maps so flat that nothing could be seen: they are stretched.
 */

import type { Point } from "./geometry";

export interface Camera {
  x: number;
  y: number;
  scale: number;
  /** Pixels of a unit up, for each pixel of one across. */
  stretch: number;
  width: number;
  height: number;
}

const FLAT = 3;

export function fit([x0, x1, y0, y1]: readonly number[], width: number, height: number): Camera {
  const [wide, tall] = [width / (x1 - x0 || 1), height / (y1 - y0 || 1)];
  const flat = Math.max(wide / tall, tall / wide) > FLAT;
  const stretch = flat ? tall / wide : 1;
  return { x: (x0 + x1) / 2, y: (y0 + y1) / 2, scale: (flat ? wide : Math.min(wide, tall)) || 1, stretch, width, height };
}

export function toScreen(camera: Camera, [x, y]: Point): Point {
  return [
    camera.width / 2 + (x - camera.x) * camera.scale,
    camera.height / 2 - (y - camera.y) * camera.scale * camera.stretch,
  ];
}

export function toPlace(camera: Camera, [left, top]: Point): Point {
  return [
    camera.x + (left - camera.width / 2) / camera.scale,
    camera.y - (top - camera.height / 2) / (camera.scale * camera.stretch),
  ];
}

/** Closer or farther by a factor, the place under `at` (pixels) staying where it is. */
export function zoom(camera: Camera, factor: number, at: Point): Camera {
  const [x, y] = toPlace(camera, at);
  const scale = camera.scale * factor;
  return { ...camera, scale, x: x + (camera.x - x) / factor, y: y + (camera.y - y) / factor };
}

export function pan(camera: Camera, right: number, down: number): Camera {
  return { ...camera, x: camera.x - right / camera.scale, y: camera.y + down / (camera.scale * camera.stretch) };
}
