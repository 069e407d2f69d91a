import { expect, it } from "vitest";
import { chance, coordinate, exact, number } from "../src/numbers";
import { pValue } from "../src/pvalue";

it("numbers are read by people", () => {
  expect([0, 1797, 1e7, 123456.789, -0.5].map((v) => number(v))).toEqual(["0", "1797", "10000000", "123457", "−0.5"]);
  expect([1.23456, 12345678.5, -0.000123, NaN, null].map((v) => number(v))).toEqual(["1.23", "1.2e7", "−1.2e−4", "–", "–"]);
  expect([-0.001, -1.234, 5e-17].map(coordinate)).toEqual(["0.00", "−1.23", "0.00"]);
});

it("small p-values keep their power of ten", () => {
  expect([0.00031, 0.0123, 1].map(chance)).toEqual(["3.1e−4", "0.012", "1"]);
});

it("files get plain numbers", () => {
  expect([-1.5, 1e-9, NaN].map(exact)).toEqual(["-1.5", "1e-9", ""]);
});

it("p = (1 + how many held-out items score as high) / (1 + n)", () => {
  const heldout = [1, 2, 2, 3];
  expect(pValue(heldout, 0)).toBe(1);
  expect(pValue(heldout, 2)).toBe(4 / 5);
  expect(pValue(heldout, 2.5)).toBe(2 / 5);
  expect(pValue(heldout, 9)).toBe(1 / 5);
  expect(pValue([], 1)).toBe(1);
});
