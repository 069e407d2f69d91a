import { expect, it } from "vitest";
import { fit, pan, toPlace, toScreen, zoom } from "../src/camera";

it("the whole map fits, places keep their proportions, y points up", () => {
  const camera = fit([-1, 1, -1, 1], 400, 200);
  expect(toScreen(camera, [0, 1])).toEqual([200, 0]);
  expect(toScreen(camera, [1, 0])).toEqual([300, 100]);
});

it("a very flat map is stretched", () => {
  const camera = fit([0, 100, 0, 1], 400, 200);
  expect(toScreen(camera, [100, 0])).toEqual([400, 200]);
  expect(toPlace(camera, [0, 0])).toEqual([0, 1]);
});

it("zooming leaves the place under the pointer, panning carries it along", () => {
  const camera = fit([0, 9, 0, 1], 300, 300);
  const under = toPlace(camera, [70, 210]);
  const [x, y] = toPlace(zoom(camera, 2.5, [70, 210]), [70, 210]);
  expect(x).toBeCloseTo(under[0]);
  expect(y).toBeCloseTo(under[1]);
  const moved = toPlace(pan(camera, 10, -20), [80, 190]);
  expect(moved[0]).toBeCloseTo(under[0]);
  expect(moved[1]).toBeCloseTo(under[1]);
});
