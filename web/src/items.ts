/** The items of the run that the page has in display form: the first M points. */

import { toText } from "./base64";
import type { Shown } from "./facts";
import type { Loadedness } from "./state";

export function itemOf({ facts, array }: Loadedness, index: number): Shown | null {
  const items = facts.items;
  if (!items || index < 0 || index >= facts.points.shown.count) return null;
  if (items.form === "cells") return { cells: items.cells[index] };
  if (items.form === "text") return { text: items.texts[index] };
  if (items.form === "parts") return items.items[index];
  const [, ...shape] = items.pixels.shape;
  const size = shape.reduce((product, side) => product * side, 1);
  const pixels = (array(items.pixels) as Uint8Array).subarray(index * size, (index + 1) * size);
  return { image: { shape: shape as [number, number, number], pixels: toText(pixels) } };
}

/** The label of an item, empty where there is none. */
export function labelOf({ facts, array }: Loadedness, index: number): string {
  const label = facts.points.label ? array(facts.points.label)[index] : -1;
  return label >= 0 ? (facts.labels[label] ?? String(label)) : "";
}

/** What an item is called: its number, and its label where there is one. */
export function nameOf(here: Loadedness, index: number): string {
  const label = labelOf(here, index);
  return `item ${index}${label && `, label ${label}`}`;
}
