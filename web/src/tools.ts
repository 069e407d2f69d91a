/** What a press on the map does, and what the lasso leaves. */

import { signal } from "@preact/signals";
import { inside, type Point } from "./geometry";
import { said, selection, xy } from "./state";

export type Tool = "look" | "pan" | "lasso" | "box" | "path";

export const tool = signal<Tool>("look");
export const TOOLS: { id: Tool; name: string; tip: string }[] = [
  { id: "look", name: "Look", tip: "Point anywhere to decode there; click to move there" },
  { id: "pan", name: "Pan", tip: "Drag the map" },
  { id: "lasso", name: "Lasso", tip: "Draw around points to select them" },
  { id: "box", name: "Box", tip: "Drag a box around points to select them" },
  { id: "path", name: "A to B", tip: "Click two places to see what lies between them" },
];

/** Select the points within a polygon; `add` keeps those selected before. */
export function selectWithin(polygon: Point[], add: boolean): void {
  const found = inside(xy.value, polygon);
  select(add ? [...new Set([...selection.value, ...found])] : found);
}

export function select(indices: number[]): void {
  selection.value = indices;
  said.value = `${indices.length} selected`;
}
