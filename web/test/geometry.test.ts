import { describe, expect, it } from "vitest";
import type { LatentMap } from "../src/facts";
import * as g from "../src/geometry";

const linear = (origin: number[], right: number[], up: number[]): LatentMap =>
  ({ origin, basis: [right, up], extent: [-1, 1, -2, 2], density: { shape: [4, 2] } }) as unknown as LatentMap;

describe("places and codes", () => {
  const skew = linear([1, 2, 3], [1, 0, 1], [0.5, 2, 0]);
  const none = new Float32Array(0);

  it("a place has the code origin + x·right + y·up", () => {
    expect(g.placeToCode(skew, [2, -1], none, none, 3)).toEqual([2.5, 0, 5]);
  });

  it("and that code stands at the place, also on skew axes", () => {
    const [x, y] = g.codeToPlace(skew, [2.5, 0, 5], none, none);
    expect(x).toBeCloseTo(2);
    expect(y).toBeCloseTo(-1);
  });

  it("what lies beside the plane falls on its foot", () => {
    const flat = linear([0, 0, 0], [1, 0, 0], [0, 1, 0]);
    expect(g.codeToPlace(flat, [3, 4, 99], none, none)).toEqual([3, 4]);
  });

  it("one axis alone has no height", () => {
    expect(g.codeToPlace(linear([1], [2], [0]), [5], none, none)).toEqual([2, 0]);
  });

  it("without a basis the three nearest points are weighed by 1 / distance", () => {
    const map = { basis: null } as LatentMap;
    const xy = Float32Array.from([0, 0, 2, 0, 0, 4, 90, 90]);
    const codes = Float32Array.from([1, 2, 4, 1000]);
    const [code] = g.placeToCode(map, [1, 0], xy, codes, 1);
    const far = 1 / Math.sqrt(17);
    expect(code).toBeCloseTo((1 + 2 + 4 * far) / (2 + far), 5);
    expect(g.codeToPlace(map, [3.4], xy, codes)).toEqual([0, 4]);
  });
});

describe("ways between codes", () => {
  it("slerp goes along the circle, its length changing evenly", () => {
    const half = g.slerp([2, 0], [0, 4], 0.5);
    expect(half[0]).toBeCloseTo(3 / Math.SQRT2);
    expect(half[1]).toBeCloseTo(3 / Math.SQRT2);
  });

  it("both ways begin and end at the ends", () => {
    for (const way of ["linear", "slerp"] as const) {
      const path = g.pathBetween([1, 2], [-3, 0.5], 5, way);
      expect(path).toHaveLength(5);
      [path[0], path[4]].forEach((end, i) => end.forEach((v, d) => expect(v).toBeCloseTo([[1, 2], [-3, 0.5]][i][d])));
    }
  });

  it("where there is no angle slerp is straight", () => {
    expect(g.slerp([0, 0], [2, 2], 0.5)).toEqual([1, 1]);
    expect(g.slerp([1, 1], [3, 3], 0.5)).toEqual([2, 2]);
  });
});

describe("neighbours, groups and lassos", () => {
  const codes = Float32Array.from([0, 0, 3, 4, 1, 0, -1, 0]);

  it("the nearest codes, nearest first, among the first ones", () => {
    expect(g.nearestCodes(codes, [0, 0], 3).map(({ index }) => index)).toEqual([0, 2, 3]);
    expect(g.nearestCodes(codes, [3, 3], 9, 2)).toEqual([{ index: 1, distance: 1 }, { index: 0, distance: Math.sqrt(18) }]);
  });

  it("means and their difference", () => {
    expect(g.meanCode(codes, [1, 2], 2)).toEqual([2, 2]);
    expect(g.combine([1, 1], [4, 4], [2, 0], 0.5)).toEqual([2, 3]);
    expect(g.combine([1, 1], [4, 4], null, 1)).toEqual([4, 4]);
  });

  it("a lasso may be bent inwards", () => {
    const horseshoe: g.Point[] = [[0, 0], [6, 0], [6, 6], [4, 6], [4, 2], [2, 2], [2, 6], [0, 6]];
    expect(g.inside(Float32Array.from([1, 5, 3, 5, 5, 5, 3, 1, 7, 1]), horseshoe)).toEqual([0, 2, 3]);
  });

  it("density is read by cell, row 0 lowest, and nothing lies outside", () => {
    const map = linear([0, 0], [1, 0], [0, 1]);
    const values = Uint8Array.from([1, 2, 3, 4, 5, 6, 7, 8]);
    expect(g.densityAt(map, values, [-0.5, -1.5])).toBe(1);
    expect(g.densityAt(map, values, [0.5, 1.5])).toBe(8);
    expect(g.densityAt(map, values, [1.01, 0])).toBe(0);
  });
});
