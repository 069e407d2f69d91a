/** Places on a map and codes in the latent space, the ways between two codes, and what a lasso holds. */

import type { LatentMap, Numbers } from "./facts";

export type Point = [number, number];

const dot = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  let sum = 0;
  for (let d = 0; d < a.length; d++) sum += a[d] * b[d];
  return sum;
};

/** Code (D,) of point `index` in codes (N, D). */
export function codeOf(codes: Numbers, index: number, latent: number): number[] {
  return Array.from(codes.subarray(index * latent, (index + 1) * latent));
}

/** The code under a place: origin + x·basis₀ + y·basis₁; without a basis, the mean of the three nearest points' codes. */
export function placeToCode(map: LatentMap, place: Point, xy: Numbers, codes: Numbers, latent: number): number[] {
  if (map.basis) {
    const [right, up] = map.basis;
    return map.origin.map((start, d) => start + place[0] * right[d] + place[1] * up[d]);
  }
  const near = nearestPlaces(xy, place, 3);
  const code = new Array<number>(latent).fill(0);
  let total = 0;
  for (const { index, distance } of near) {
    const weight = 1 / (distance + 1e-9);
    total += weight;
    for (let d = 0; d < latent; d++) code[d] += weight * codes[index * latent + d];
  }
  return code.map((value) => value / (total || 1));
}

/** Where a code stands on a linear map, by least squares; on another map, the place of its nearest point. */
export function codeToPlace(map: LatentMap, code: number[], xy: Numbers, codes: Numbers): Point {
  if (!map.basis) {
    const [best] = nearestCodes(codes, code, 1);
    return best ? [xy[2 * best.index], xy[2 * best.index + 1]] : [0, 0];
  }
  const [right, up] = map.basis;
  const from = code.map((value, d) => value - map.origin[d]);
  const [a, b, c] = [dot(right, right), dot(right, up), dot(up, up)];
  const [p, q] = [dot(right, from), dot(up, from)];
  const scale = a * c - b * b;
  if (!(scale > 1e-12 * a * a)) return [a ? p / a : 0, 0]; // one axis only
  return [(c * p - b * q) / scale, (a * q - b * p) / scale];
}

export interface Near {
  index: number;
  distance: number;
}

/** Keep the `count` smallest of squared distances given one by one. */
function smallest(n: number, count: number, squared: (index: number, worst: number) => number): Near[] {
  const best: Near[] = [];
  let worst = Infinity;
  for (let index = 0; index < n; index++) {
    const distance = squared(index, worst);
    if (!(distance < worst)) continue;
    let at = best.length;
    while (at > 0 && best[at - 1].distance > distance) at--;
    best.splice(at, 0, { index, distance });
    if (best.length > count) best.pop();
    if (best.length === count) worst = best[count - 1].distance;
  }
  return best.map(({ index, distance }) => ({ index, distance: Math.sqrt(distance) }));
}

export function nearestPlaces(xy: Numbers, [x, y]: Point, count: number): Near[] {
  return smallest(xy.length / 2, count, (i) => (xy[2 * i] - x) ** 2 + (xy[2 * i + 1] - y) ** 2);
}

/** The nearest of the first `among` codes (N, D), by Euclidean distance in the whole latent space. */
export function nearestCodes(codes: Numbers, code: number[], count: number, among = Infinity): Near[] {
  const latent = code.length;
  return smallest(Math.min(codes.length / latent, among), count, (i, worst) => {
    let sum = 0;
    for (let d = 0, at = i * latent; d < latent && sum < worst; d++, at++) sum += (codes[at] - code[d]) ** 2;
    return sum;
  });
}

export function lerp(a: number[], b: number[], t: number): number[] {
  return a.map((value, d) => value + t * (b[d] - value));
}

/** Along the great circle between directions, the length changing evenly; a straight line where there is no angle. */
export function slerp(a: number[], b: number[], t: number): number[] {
  const [long, wide] = [Math.sqrt(dot(a, a)), Math.sqrt(dot(b, b))];
  if (long < 1e-9 || wide < 1e-9) return lerp(a, b, t);
  const angle = Math.acos(Math.max(-1, Math.min(1, dot(a, b) / (long * wide))));
  if (Math.sin(angle) < 1e-6) return lerp(a, b, t);
  const [left, right] = [Math.sin((1 - t) * angle) / Math.sin(angle), Math.sin(t * angle) / Math.sin(angle)];
  const length = long + t * (wide - long);
  return a.map((value, d) => length * ((left * value) / long + (right * b[d]) / wide));
}

export function pathBetween(a: number[], b: number[], steps: number, way: "linear" | "slerp"): number[][] {
  const along = way === "slerp" ? slerp : lerp;
  return Array.from({ length: steps }, (_, step) => along(a, b, steps > 1 ? step / (steps - 1) : 0));
}

/** Mean (D,) of the codes of some points. */
export function meanCode(codes: Numbers, members: ArrayLike<number>, latent: number): number[] {
  const mean = new Array<number>(latent).fill(0);
  for (let m = 0; m < members.length; m++)
    for (let d = 0; d < latent; d++) mean[d] += codes[members[m] * latent + d] / members.length;
  return mean;
}

/** this + strength · (mean₁ − mean₂); a group not chosen counts as this itself, so it does nothing. */
export function combine(here: number[], first: number[] | null, second: number[] | null, by: number): number[] {
  return here.map((value, d) => value + by * ((first?.[d] ?? value) - (second?.[d] ?? value)));
}

/** The points (indices) inside a polygon, by counting the edges that a ray to the right crosses. */
export function inside(xy: Numbers, polygon: Point[]): number[] {
  const found: number[] = [];
  for (let i = 0; i < xy.length / 2; i++) if (holds(polygon, xy[2 * i], xy[2 * i + 1])) found.push(i);
  return found;
}

function holds(polygon: Point[], x: number, y: number): boolean {
  let odd = false;
  for (let i = 0, j = polygon.length - 1; i < polygon.length; j = i++) {
    const [[xi, yi], [xj, yj]] = [polygon[i], polygon[j]];
    if (yi > y !== yj > y && x < ((xj - xi) * (y - yi)) / (yj - yi) + xi) odd = !odd;
  }
  return odd;
}

/** Density (0..255) of the codes at a place; nothing lies outside the map's extent. */
export function densityAt(map: LatentMap, values: Numbers, [x, y]: Point): number {
  const [h, w] = map.density.shape;
  const [x0, x1, y0, y1] = map.extent;
  const column = Math.floor(((x - x0) / (x1 - x0)) * w);
  const row = Math.floor(((y - y0) / (y1 - y0)) * h);
  return column < 0 || row < 0 || column >= w || row >= h ? 0 : values[row * w + column];
}
