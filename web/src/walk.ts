/** Random places, and a walk that wanders where the data are. A temperature of 1 spreads as the codes do. */

import type { Dim } from "./facts";

export type Noise = () => number;

/** A draw from N(0, 1), by Box and Muller. */
export const normal: Noise = () =>
  Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());

/** Each free dimension anew from N(mean, (temperature · std)²) of the codes. */
export function drawn(code: number[], dims: Dim[], locked: Set<number>, temperature: number, noise = normal): number[] {
  const next = [...code];
  for (const { index, mean, std } of dims) if (!locked.has(index)) next[index] = mean + temperature * std * noise();
  return next;
}

const PULL = 0.03;

/** One step of an Ornstein–Uhlenbeck walk, whose places in the long run are those of `drawn`. */
export function walked(code: number[], dims: Dim[], locked: Set<number>, temperature: number, noise = normal): number[] {
  const next = [...code];
  const stay = 1 - PULL;
  for (const { index, mean, std } of dims) {
    if (locked.has(index)) continue;
    const kick = temperature * std * Math.sqrt(1 - stay ** 2) * noise();
    next[index] = mean + stay * (code[index] - mean) + kick;
  }
  return next;
}
