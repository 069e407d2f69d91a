import { expect, it } from "vitest";
import { classColours, fifths, rangeOf, rgb, viridis, type Rgb } from "../src/colours";

/** Viénot, Brettel and Mollon (1999): what protanopes and deuteranopes see, in linear RGB. */
const BLIND = [
  [[0.11238, 0.88762, 0], [0.11238, 0.88762, 0], [0.00401, -0.00401, 1]],
  [[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]],
];
const linear = (v: number): number => (v <= 10.31475 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4);
const XYZ = [[0.4339, 0.3762, 0.1899], [0.2126, 0.7152, 0.0722], [0.0177, 0.1095, 0.8729]]; // sRGB, D65 white as 1
const times = (matrix: number[][], v: number[]): number[] => matrix.map((row) => row.reduce((sum, w, i) => sum + w * v[i], 0));

/** CIE L*a*b* of a colour as someone sees it. */
function lab(colour: Rgb, seen: number[][]): number[] {
  const light = times(seen, colour.map(linear)).map((v) => Math.max(0, Math.min(1, v)));
  const [x, y, z] = times(XYZ, light).map((v) => (v > 0.008856 ? Math.cbrt(v) : 7.787 * v + 16 / 116));
  return [116 * y - 16, 500 * (x - y), 200 * (y - z)];
}

function apart(a: Rgb, b: Rgb, seen: number[][]): number {
  const [one, other] = [lab(a, seen), lab(b, seen)];
  return Math.hypot(...one.map((v, i) => v - other[i]));
}

it("classes are told apart by colour-blind people", () => {
  for (const count of [2, 8, 10])
    for (const seen of BLIND) {
      const colours = classColours(count);
      for (let i = 0; i < count; i++) for (let j = 0; j < i; j++) expect(apart(colours[i], colours[j], seen)).toBeGreaterThan(15);
    }
});

it("beyond the palette classes are grey, not repeated", () => {
  const colours = classColours(14);
  expect(colours[12]).toEqual([140, 140, 140]);
  expect(new Set(colours.map(String)).size).toBe(11);
});

it("viridis runs from dark to light and keeps to its ends", () => {
  expect(viridis(-1)).toEqual(rgb("#440154"));
  expect(viridis(2)).toEqual(rgb("#fde725"));
  const light = [0, 0.25, 0.5, 0.75, 1].map((t) => viridis(t)).map(([r, g, b]) => 0.2 * r + 0.7 * g + 0.1 * b);
  expect([...light].sort((a, b) => a - b)).toEqual(light);
});

it("fifths hold as many points each, the last range closed", () => {
  const edges = fifths([5, 1, 4, 2, 3, NaN, 0]);
  expect(edges).toEqual([0, 1, 2, 3, 4, 5]);
  expect([0, 0.5, 4, 5].map((value) => rangeOf(edges, value))).toEqual([0, 0, 4, 4]);
  expect(rangeOf(edges, NaN)).toBe(-1);
  expect(fifths([7, 7, 7])).toEqual([7]);
});
