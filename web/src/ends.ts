/** The two ends of a path between codes: A and B. */

import { signal } from "@preact/signals";
import { said } from "./state";

export interface End {
  code: number[];
  name: string;
}

export const ends = signal<{ a: End | null; b: End | null }>({ a: null, b: null });

export function setEnd(which: "a" | "b", code: number[], name: string): void {
  ends.value = { ...ends.value, [which]: { code, name } };
  said.value = `${which.toUpperCase()} is ${name}`;
}

/** The next click sets A, then B, then starts over with A. */
export function nextEnd(code: number[], name: string): void {
  const { a, b } = ends.value;
  if (a && b) ends.value = { a: null, b: null };
  setEnd(!a || b ? "a" : "b", code, name);
}
