import { expect, it } from "vitest";
import { cell, csv } from "../src/csv";
import { latest } from "../src/latest";
import { curvesOf } from "../src/records";
import { cellsOf } from "../src/row";
import { drawn, walked } from "../src/walk";
import type { Dim } from "../src/facts";
import { channelsOf, darkEdges } from "../src/picture";

it("a pasted row is read between tabs, semicolons or commas, with quotes", () => {
  expect(cellsOf("a\tb,c\t\nnext line")).toEqual(["a", "b,c", ""]);
  expect(cellsOf('1, "Ulm, ""Donau""" ,2')).toEqual(["1", 'Ulm, "Donau"', "2"]);
});

it("cells of a file are quoted, and no formula of a stranger runs", () => {
  expect(["plain", "a,b", 'say "hi"', "=1+1", "-2.5", "@x"].map(cell)).toEqual(["plain", '"a,b"', '"say ""hi"""', "'=1+1", "-2.5", "'@x"]);
  expect(csv([{ name: "index", text: String }, { name: "x,y", text: (i) => `v${i}` }], [3])).toBe('index,"x,y"\r\n3,v3\r\n');
});

it("only the newest question waits", async () => {
  const asked: number[] = [];
  const free: (() => void)[] = [];
  const ask = latest<number>((question) => {
    asked.push(question);
    return new Promise((done) => free.push(done));
  });
  [1, 2, 3].forEach(ask);
  free[0]();
  await new Promise((done) => setTimeout(done));
  expect(asked).toEqual([1, 3]);
});

it("curves have a series for each split, with gaps where it was not measured", () => {
  const [elbo] = curvesOf([{ step: 2, split: "train", elbo: -3 }, { step: 1, split: "train", elbo: -5 }, { step: 2, split: "heldout", elbo: null }]);
  expect(elbo).toEqual({
    name: "elbo", title: "ELBO (nats)", steps: [1, 2],
    series: [{ name: "training", values: [-5, -3] }, { name: "held out", values: [null, null] }],
  });
});

const dims = [{ index: 1, mean: 5, std: 2 }, { index: 0, mean: 0, std: 1 }] as Dim[];

it("random places spread as the codes do, times the temperature; what is locked stays", () => {
  expect(drawn([9, 9], dims, new Set([0]), 1.5, () => 1)).toEqual([9, 8]);
});

it("the walk stays as wide as that, however long it goes", () => {
  let seed = 1;
  const noise = (): number => {
    let sum = -6;
    for (let i = 0; i < 12; i++) sum += (seed = (seed * 16807) % 2147483647) / 2147483647;
    return sum;
  };
  let code = [0, 5];
  let [sum, square] = [0, 0];
  const steps = 40_000;
  for (let i = 0; i < steps; i++) {
    code = walked(code, dims, new Set(), 1, noise);
    sum += code[1];
    square += code[1] ** 2;
  }
  expect(sum / steps).toBeCloseTo(5, 0);
  expect(Math.sqrt(square / steps - (sum / steps) ** 2)).toBeGreaterThan(1.7);
  expect(Math.sqrt(square / steps - (sum / steps) ** 2)).toBeLessThan(2.3);
});

it("a picture becomes the channels of the model; what is clear is black", () => {
  const pixels = Uint8ClampedArray.from([255, 0, 0, 255, 255, 255, 255, 0]);
  expect([...channelsOf(pixels, [1, 2, 1])]).toEqual([76, 0]);
  expect([...channelsOf(pixels, [1, 2, 3])]).toEqual([255, 0, 0, 0, 0, 0]);
});

it("the pad's paper is as the items' edges", () => {
  const item = [0, 0, 0, 0, 255, 0, 0, 0, 0];
  expect(darkEdges(item, [3, 3, 1], 1)).toBe(true);
  expect(darkEdges(item.map((v) => 255 - v), [3, 3, 1], 1)).toBe(false);
});
