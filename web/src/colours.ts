/** Palettes that colour-blind people can tell apart, and a colour for every point. */

export type Rgb = [number, number, number];

// Petroff (2021), arXiv 2107.02270: eight colours, and ten
const EIGHT = ["#1845fb", "#ff5e02", "#c849a9", "#86c8dd", "#c91f16", "#adad7d", "#578dff", "#656364"];
const TEN = [
  "#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6", "#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd",
];
// viridis (Smith and van der Walt, 2015), in even steps
const VIRIDIS = ["#440154", "#472d7b", "#3b528b", "#2c728e", "#21918c", "#28ae80", "#5ec962", "#addc30", "#fde725"];

export function rgb(hex: string): Rgb {
  return [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16)) as Rgb;
}

export const css = ([r, g, b]: Rgb): string => `rgb(${r} ${g} ${b})`;

/** Colours of `count` classes; beyond ten they would be guessed at, so the rest share a grey. */
export function classColours(count: number): Rgb[] {
  const palette = (count <= EIGHT.length ? EIGHT : TEN).map(rgb);
  return Array.from({ length: count }, (_, index) => palette[index] ?? [140, 140, 140]);
}

/** viridis at t in [0, 1]. */
export function viridis(t: number): Rgb {
  const at = Math.max(0, Math.min(1, t)) * (VIRIDIS.length - 1);
  const low = Math.min(VIRIDIS.length - 2, Math.floor(at));
  const [a, b] = [rgb(VIRIDIS[low]), rgb(VIRIDIS[low + 1])];
  return a.map((value, channel) => Math.round(value + (at - low) * (b[channel] - value))) as Rgb;
}

/** Five ranges with as many points each: [low, high) and the last one closed. */
export function fifths(values: ArrayLike<number>): number[] {
  const sorted = Float64Array.from(values).filter(Number.isFinite).sort();
  if (!sorted.length) return [];
  const edges = [0, 0.2, 0.4, 0.6, 0.8, 1].map((share) => sorted[Math.round(share * (sorted.length - 1))]);
  return edges.filter((edge, i) => i === 0 || edge > edges[i - 1]);
}

/** Which range a value falls in, −1 for one that is not a number. */
export function rangeOf(edges: number[], value: number): number {
  if (!Number.isFinite(value)) return -1;
  let range = 0;
  while (range < edges.length - 2 && value >= edges[range + 1]) range++;
  return range;
}
