import { describe, expect, it } from "vitest";
import { toBytes, toText } from "../src/base64";
import { general, onGrid, straight } from "../src/cells";
import { parseDate, writeDate } from "../src/dates";
import type { Column, NumberColumn, Reading } from "../src/facts";
import { conditionOf, datumOf, labelOf, shownOf, xOf } from "../src/reading";

const plain = (more: Partial<NumberColumn> = {}): NumberColumn => ({
  name: "n", kind: "number", at: 0, knots: [-1, 0, 2], values: [0, 10, 14], from: 100, grid: 0, decimals: null, low: null, high: null, ...more,
});
const cells = (...columns: Column[]): Reading => ({ form: "cells", columns });
const cell = (column: Column, x: number[]): string => (shownOf(cells(column), x) as { cells: string[] }).cells[0];

describe("pictures", () => {
  const reading: Reading = { form: "image", shape: [1, 2, 3] };
  it("planes become pixels and come back", () => {
    const x = [0, 1, 0.2, 0.4, 0.6, 0.8];
    const shown = shownOf(reading, x) as { image: { shape: [number, number, number]; pixels: string } };
    expect([...toBytes(shown.image.pixels)]).toEqual([0, 51, 153, 255, 102, 204]);
    xOf(reading, shown, 6).forEach((value, i) => expect(value).toBeCloseTo(x[i], 2));
  });
  it("few levels and bits are rounded to one of them", () => {
    const given = { image: { shape: [1, 3, 1] as [number, number, number], pixels: toText([0, 100, 255]) } };
    expect([...xOf({ form: "image", shape: [1, 3, 1], levels: 17 }, given, 3)]).toEqual([0, Math.fround(6 / 16), 1]);
    expect([...xOf({ form: "image", shape: [1, 3, 1], bits: true }, given, 3)]).toEqual([0, 0, 1]);
  });
});

describe("numbers in rows", () => {
  it("are straight between knots and beyond them", () => {
    expect([-2, -1, -0.5, 1, 3].map((x) => straight(x, [-1, 0, 2], [0, 10, 14]))).toEqual([-10, 0, 5, 12, 16]);
  });
  it("stand on their grid, within their range, with their digits", () => {
    expect(cell(plain({ grid: 0.5, decimals: 0 }), [0.6])).toBe("111");
    expect(cell(plain({ decimals: 2 }), [0.126])).toBe("110.25");
    expect(cell(plain({ low: 105, high: 112 }), [-9])).toBe("105");
    expect(cell(plain({ from: -10, decimals: 1 }), [0])).toBe("0.0");
    expect(onGrid(123, 10)).toBe(120);
    expect([2.5, 3.5].map((v) => onGrid(v, 1))).toEqual([2, 4]);
  });
  it("read as %g writes them", () => {
    expect([0.30000000000000004, 1e6, 123456.7, 0.00001234, 100].map(general)).toEqual(["0.3", "1e+06", "123457", "1.234e-05", "100"]);
  });
  it("have levels of their own, holes, spans and dates", () => {
    expect(cell(plain({ head: 1, special: [0, 99], decimals: 0 }), [0.3, 1])).toBe("99");
    expect(cell(plain({ head: 1, special: [0, 99], decimals: 0 }), [0, 2])).toBe("110");
    expect(cell(plain({ bit: 1 }), [0, 0.2])).toBe("");
    expect(cell(plain({ decimals: 0, span: { unit: 1, word: "days" } }), [0])).toBe("110 days");
    expect(cell(plain({ date: { unit: 86_400e9, form: "%d.%m.%Y" } }), [0])).toBe("21.04.1970");
    expect(cell(plain(), [NaN])).toBe("");
  });
  it("are given as texts, and nothing as NaN", () => {
    const columns: Column[] = [
      plain({ head: 2, special: [0] }),
      { name: "c", kind: "category", at: 3, names: ["a", "b", "r1"], rare: ["r1", "r2"], bit: 1 },
    ];
    const x = (...texts: string[]): number[] => [...xOf(cells(...columns), { cells: texts }, 4)];
    expect(x("105", "b")).toEqual([-0.5, 1, 1, 1]);
    expect(x("0", "r2")).toEqual([NaN, 1, 0, 2]);
    expect(x("", " ")).toEqual([NaN, 0, NaN, NaN]);
    expect(() => x("ten", "a")).toThrow("“ten” is not a number");
    expect(() => x("1", "z")).toThrow("there is no “z”");
  });
});

describe("dates", () => {
  it("are written and read in their form", () => {
    const form = "%Y-%m-%d %H:%M:%S.%f";
    const moment = parseDate("2019-03-05 07:08:09.25", form);
    expect(writeDate(moment, form)).toBe("2019-03-05 07:08:09.250000");
    expect(parseDate("5 March 1969 1 pm", "%d %B %Y %I %p")).toBe(Date.UTC(1969, 2, 5, 13) * 1e6);
    expect(parseDate("yesterday", form)).toBeNaN();
  });
});

describe("texts, parts and conditions", () => {
  const text: Reading = { form: "text", characters: ["C", "O", "="], length: 5 };
  it("texts end at the first 0", () => {
    expect(shownOf(text, [1, 3, 2, 0, 1])).toEqual({ text: "C=O" });
    expect([...xOf(text, { text: "OC" }, 5)]).toEqual([2, 1, 0, 0, 0]);
    expect(() => xOf(text, { text: "N" }, 5)).toThrow("“N”");
    expect(() => xOf(text, { text: "CCCCCC" }, 5)).toThrow("6 characters");
  });
  it("parts stand at their places; a part that is missing is NaN", () => {
    const reading: Reading = {
      form: "parts",
      parts: [{ name: "word", at: 0, width: 2, reading: text }, { name: "row", at: 2, width: 1, reading: cells(plain({ from: 0 })) }],
    };
    expect(shownOf(reading, [1, 0, 0])).toEqual({ parts: [{ name: "word", shown: { text: "C" } }, { name: "row", shown: { cells: ["10"] } }] });
    expect([...xOf(reading, { parts: [{ name: "row", given: { cells: ["12"] } }] }, 3)]).toEqual([NaN, NaN, 1]);
  });
  it("labels are conditions, told or one of many", () => {
    const given: Column = { name: "who", kind: "given", texts: ["a", "b"], none: "a" };
    const reading: Reading = { ...cells(given), condition: { labels: [[1, 0], [0, 1]], none: [1, 0] } };
    expect(conditionOf(reading, 2, 1)).toEqual([0, 1]);
    expect(conditionOf(cells(), 3, 2)).toEqual([0, 0, 1]);
    expect(labelOf(reading, { cells: ["b"] }, null)).toBe(1);
    expect(labelOf(reading, { cells: ["?"] }, 0)).toBe(0);
    expect(shownOf(reading, [], 1)).toEqual({ cells: ["b"] });
  });
});

describe("names and lines with blanks around them", () => {
  const named = cells({ name: "c", kind: "category", at: 0, names: [" a", "b"], rare: ["r "] });
  it("are known as they are, and without them where they have none", () => {
    expect([" a", "b ", "r "].map((text) => xOf(named, { cells: [text] }, 1)[0])).toEqual([0, 1, 1]);
    expect(() => xOf(named, { cells: ["a"] }, 1)).toThrow("there is no “a”");
    expect([...xOf({ form: "text", characters: [" ", "a"] }, { text: " a " }, 4)]).toEqual([1, 2, 1, 0]);
  });
});

describe("what was decoded, as a datum", () => {
  const image = (more: object): Reading => ({ form: "image", shape: [1, 4, 1], x: "unit", ...more });
  const x = [-0.2, 0.49, 0.51, 1.3];
  const near = (found: Float32Array, wanted: number[]): void => expect([...found]).toEqual([...Float32Array.from(wanted)]);
  it("has whole levels, or bits, or is only clamped; noise is left as it is", () => {
    near(datumOf(image({ levels: 5 }), x), [0, 0.5, 0.5, 1]);
    near(datumOf(image({ levels: 256, bits: true }), x), [0, 0, 1, 1]);
    near(datumOf(image({ levels: 0 }), x), [0, 0.49, 0.51, 1]);
    near(datumOf(image({ levels: 0, x: "open" }), x), x);
  });
  it("keeps the blanks of a line, and has nothing after its end", () => {
    near(datumOf({ form: "text", characters: [" ", "a"], length: 4 }, [1, 2.1, 0, 2]), [1, 2, 0, 0]);
    near(datumOf({ form: "text", characters: [" ", "a"], length: 2 }, [1, 1]), [1, 1]);
  });
  it("keeps digits that no text has, point masses, names with blanks, and holes", () => {
    const spike = plain({ head: 1, special: [1 / 3] });
    const names: Column = { name: "c", kind: "category", at: 2, names: [" a", "b "], bit: 3 };
    const reading = cells(spike, names);
    near(datumOf(reading, [0.123456789, 1, 0.2, 1]), [0.123456789, 1, 0, 1]);
    near(datumOf(reading, [0.5, 0.3, 1, 0.7]), [NaN, 0, 1, 1]);
    near(datumOf(reading, [0.5, 1, 1, 0.2]), [0.5, 1, NaN, 0]);
    near(datumOf(cells(plain({ grid: 1, low: 101, high: 112 })), [0.6]), [0.5]);
    near(datumOf({ form: "parts", parts: [{ name: "p", at: 1, width: 1, reading: cells(plain()) }] }, [9, 0.25]), [NaN, 0.25]);
  });
});
