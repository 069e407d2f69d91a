/** What the parts of the page share. Signals: whoever reads one is drawn again when it changes. */

import { computed, signal } from "@preact/signals";
import { view, type ArrayRef, type Facts, type LatentMap, type Numbers, type Shown } from "./facts";
import { codeOf, codeToPlace, densityAt, meanCode, nearestCodes, placeToCode, type Point } from "./geometry";
import { latest } from "./latest";
import { SourceError, type Condition, type Loaded, type Source } from "./source";

export interface Loadedness {
  facts: Facts;
  codes: Numbers;
  array: (ref: ArrayRef) => Numbers;
}

export const run = signal<Loadedness | null>(null);
export const source = signal<Source | null>(null);
export interface Trouble {
  /** What was tried: when that works again, the trouble is over. */
  of: string;
  message: string;
  hint: string;
}
export const trouble = signal<Trouble | null>(null);
/** The last thing done, read aloud by screen readers. */
export const said = signal("");

export const mapId = signal("");
export const map = computed<LatentMap | null>(() => {
  const maps = run.value?.facts.maps ?? [];
  return maps.find((one) => one.id === mapId.value) ?? maps[0] ?? null;
});
export const xy = computed<Numbers>(() => {
  const here = run.value;
  return here && map.value ? here.array(map.value.xy) : new Float32Array(0);
});
export const density = computed<Numbers>(() => {
  const here = run.value;
  return here && map.value ? here.array(map.value.density.values) : new Uint8Array(0);
});

export const condition = signal<Condition>(null);
/** The code that sliders, paths and groups start from. */
export const code = signal<number[]>([]);
/** The code under the pointer, which goes as the pointer goes. */
export const glance = signal<number[] | null>(null);
export const selection = signal<number[]>([]);
export const selected = computed(() => new Set(selection.value));
export interface Group {
  name: string;
  members: number[];
}
export const groups = signal<Group[]>([]);

export interface Decoded {
  code: number[];
  shown: Shown;
  nearest: { index: number; distance: number } | null;
  off: boolean;
  milliseconds: number;
}
export const decoded = signal<Decoded | null>(null);

export function start({ facts, bytes }: Loaded, from: Source): void {
  const known = new Map<number, Numbers>();
  const array = (ref: ArrayRef): Numbers => {
    const kept = known.get(ref.at) ?? view(ref, bytes);
    known.set(ref.at, kept);
    return kept;
  };
  source.value = from;
  run.value = { facts, codes: array(facts.points.codes), array };
  selection.value = selection.value.filter((index) => index < facts.points.count);
  if (code.value.length !== facts.latent) code.value = middle(run.value);
  look(performance.now());
}

/** The mean of the codes: where everything starts. Of a codebook, the code of the point nearest to it. */
export function middle({ facts, codes }: Loadedness): number[] {
  const count = Math.min(facts.points.count, 5000);
  const mean = meanCode(codes, Array.from({ length: count }, (_, i) => i), facts.latent);
  const [near] = facts.discrete ? nearestCodes(codes, mean, 1, count) : [];
  return near ? codeOf(codes, near.index, facts.latent) : mean;
}

/** Where codes came from that were picked on a map: on one without axes of codes they could not be found again. */
const picked = new WeakMap<number[], { on: LatentMap; place: Point }>();

export function placeOf(where: number[]): Point | null {
  const here = run.value;
  const known = picked.get(where);
  if (known && known.on === map.value) return known.place;
  return here && map.value ? codeToPlace(map.value, where, xy.value, here.codes) : null;
}

export function codeAt(place: Point): number[] {
  const here = run.value;
  if (!here || !map.value) return [];
  const found = placeToCode(map.value, place, xy.value, here.codes, here.facts.latent);
  picked.set(found, { on: map.value, place });
  return found;
}

export function pointCode(index: number): number[] {
  const here = run.value;
  return here ? codeOf(here.codes, index, here.facts.latent) : [];
}

/** Make a code the one that everything starts from. */
export function moveTo(where: number[], since = performance.now()): void {
  code.value = where;
  glance.value = null;
  look(since);
}

/** Look at a code without moving there; null looks back at where we are. */
export function glanceAt(where: number[] | null, since = performance.now()): void {
  glance.value = where;
  look(since);
}

/** Decode what is looked at; `since` is when the person moved, for the time until it is painted. */
export function look(since: number): void {
  const where = glance.value ?? code.value;
  if (where.length) ask({ where, since });
}

const ask = latest(async ({ where, since }: { where: number[]; since: number }) => {
  const here = run.value;
  if (!here || !source.value) return;
  const answer = await attempt("decode", () => source.value!.decode([where], condition.value));
  if (!answer) return;
  const among = here.facts.points.shown.count || here.facts.points.count;
  const [nearest] = nearestCodes(here.codes, where, 1, among);
  decoded.value = { code: where, shown: answer[0], nearest: nearest ?? null, off: isOff(where), milliseconds: 0 };
  painted(since);
});

/** After the frame that shows it: how long the person waited. Tests read the measures named "hover-to-painted". */
function painted(since: number): void {
  requestAnimationFrame(() => {
    const channel = new MessageChannel();
    channel.port1.onmessage = () => {
      const end = performance.now();
      performance.measure("hover-to-painted", { start: since, end });
      document.documentElement.dataset.hoverMs = (end - since).toFixed(1);
    };
    channel.port2.postMessage(null);
  });
}

function isOff(where: number[]): boolean {
  const place = placeOf(where);
  return !!place && !!map.value && densityAt(map.value, density.value, place) < map.value.off;
}

/** Run what may fail; say on the page what went wrong. */
export async function attempt<Answer>(of: string, work: () => Promise<Answer>): Promise<Answer | null> {
  try {
    const answer = await work();
    if (trouble.value?.of === of) trouble.value = null;
    return answer;
  } catch (error) {
    const { message, hint } = error instanceof SourceError ? error : { message: String(error), hint: "" };
    trouble.value = { of, message, hint };
    return null;
  }
}
