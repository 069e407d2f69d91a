/** Colour by label, a column, ELBO or KL: the legend's entries, and which of them each point belongs to. */

import { computed, signal } from "@preact/signals";
import { classColours, fifths, rangeOf, viridis, type Rgb } from "./colours";
import type { Facts, Numbers } from "./facts";
import { number } from "./numbers";
import { run, selected, type Loadedness } from "./state";
import { theme } from "./theme";

export interface Entry {
  name: string;
  colour: Rgb;
  count: number;
}

interface Colouring {
  entries: Entry[];
  /** Entry of each point, −1 for none. */
  of: Int16Array;
  colour: (index: number) => Rgb;
  /** Whether all points of an entry have one colour. */
  even: boolean;
}

const GREY: Rgb = [140, 140, 140];
const MOST = 40;

/** The part of viridis that can be seen on the present ground: neither its darkest on dark nor its lightest on light. */
const scale = computed<Rgb[]>(() => {
  const [from, to] = theme.value === "dark" ? [0.25, 1] : [0, 0.9];
  return Array.from({ length: 256 }, (_, i) => viridis(from + ((to - from) * i) / 255));
});
const onScale = (t: number): Rgb => scale.value[Math.round(255 * Math.max(0, Math.min(1, t)))];

export const by = signal("");
/** Entries of the legend that are kept; null for all. */
export const kept = signal<Set<number> | null>(null);

export interface Choice {
  id: string;
  name: string;
}

export function choices(facts: Facts): Choice[] {
  const { label, columns, elbo, kl } = facts.points;
  return [
    ...(label ? [{ id: "label", name: "label" }] : []),
    ...columns.map((column, at) => ({ id: `column-${at}`, name: column.name })),
    ...(elbo ? [{ id: "elbo", name: "ELBO" }] : []),
    ...(kl ? [{ id: "kl", name: "KL" }] : []),
    { id: "none", name: "nothing" },
  ];
}

export const colouring = computed<Colouring | null>(() => {
  const here = run.value;
  if (!here) return null;
  const known = choices(here.facts);
  const id = known.some((choice) => choice.id === by.value) ? by.value : known[0].id;
  return colour(here, id);
});

function colour({ facts, array }: Loadedness, id: string): Colouring {
  const { points, labels } = facts;
  const column = id.startsWith("column-") ? points.columns[Number(id.slice(7))] : null;
  if (id === "label" && points.label) return byClass(array(points.label), labels);
  if (column?.kind === "category") return byClass(array(column.values), column.names);
  if (column?.kind === "number") return byNumber(array(column.values));
  if (id === "elbo" && points.elbo) return byNumber(array(points.elbo));
  if (id === "kl" && points.kl) return byNumber(array(points.kl));
  const one: Rgb = [63, 144, 218];
  return {
    entries: [{ name: "every point", colour: one, count: points.count }],
    of: new Int16Array(points.count),
    colour: () => one,
    even: true,
  };
}

function counted(of: Int16Array, entries: Omit<Entry, "count">[]): Entry[] {
  const counts = new Array<number>(entries.length).fill(0);
  for (const entry of of) if (entry >= 0) counts[entry]++;
  return entries.map((entry, i) => ({ ...entry, count: counts[i] }));
}

/** The commonest classes get colours; the rest share an entry. */
function byClass(values: Numbers, names: string[]): Colouring {
  const counts = new Map<number, number>();
  for (const value of values) if (value >= 0) counts.set(value, (counts.get(value) ?? 0) + 1);
  let order = [...counts.keys()].sort((a, b) => a - b);
  const many = order.length > MOST;
  if (many) order = order.sort((a, b) => counts.get(b)! - counts.get(a)!).slice(0, MOST);
  const place = new Map(order.map((value, at) => [value, at]));
  const colours = classColours(order.length);
  const entries = order.map((value, at) => ({ name: names[value] ?? String(value), colour: colours[at] }));
  if (many) entries.push({ name: "others", colour: GREY });
  const of = Int16Array.from(values, (value) => place.get(value) ?? (many && value >= 0 ? MOST : -1));
  return { entries: counted(of, entries), of, colour: (i) => entries[of[i]]?.colour ?? GREY, even: true };
}

/** viridis over the ranks' fifths: colours run with the number, legend entries are ranges. */
function byNumber(values: Numbers): Colouring {
  const edges = fifths(values);
  const ranges = Math.max(1, edges.length - 1);
  const of = Int16Array.from(values, (value) => (edges.length ? rangeOf(edges, value) : -1));
  const entries = Array.from({ length: ranges }, (_, at) => ({
    name: `${number(edges[at])} to ${number(edges[at + 1] ?? edges[at])}`,
    colour: onScale((at + 0.5) / ranges),
  }));
  return { entries: counted(of, entries), of, colour: (i) => shade(edges, of[i], values[i]), even: false };
}

function shade(edges: number[], range: number, value: number): Rgb {
  if (range < 0) return GREY;
  const width = edges[range + 1] - edges[range] || 1;
  return onScale((range + (value - edges[range]) / width) / Math.max(1, edges.length - 1));
}

/** The colours in use: classes beyond the palette take its colours when the legend keeps only a few of them. */
export const tints = computed<Rgb[]>(() => {
  const entries = colouring.value?.entries ?? [];
  const only = [...(kept.value ?? [])].sort((a, b) => a - b);
  if (!only.some((at) => entries[at]?.colour.every((value) => value === GREY[0]))) return entries.map(({ colour }) => colour);
  const fresh = classColours(only.length);
  return entries.map(({ colour }, at) => fresh[only.indexOf(at)] ?? colour);
});

/** RGBA of every point; alpha 0 greys those that the legend or the lasso left out. */
export const paint = computed<Uint8Array>(() => {
  const scheme = colouring.value;
  if (!scheme) return new Uint8Array(0);
  const [only, chosen] = [kept.value, selected.value];
  const out = new Uint8Array(4 * scheme.of.length); // a hundred thousand points: nothing is made in the loop
  for (let i = 0; i < scheme.of.length; i++) {
    const lit = (!only || only.has(scheme.of[i])) && (!chosen.size || chosen.has(i));
    const [r, g, b] = lit ? (scheme.even ? (tints.value[scheme.of[i]] ?? GREY) : scheme.colour(i)) : GREY;
    out[4 * i] = r;
    out[4 * i + 1] = g;
    out[4 * i + 2] = b;
    out[4 * i + 3] = lit ? 255 : 0;
  }
  return out;
});

/** Keep an entry, or let it go again; with none kept all are. */
export function toggle(entry: number): void {
  const next = new Set(kept.value ?? []);
  if (!next.delete(entry)) next.add(entry);
  kept.value = next.size ? next : null;
}
