/** What a page knows of a run: `facts.json`, and the arrays it points into in `arrays.bin`. */

export interface ArrayRef {
  dtype: "f4" | "i4" | "i2" | "u1";
  shape: number[];
  at: number;
}

export type Numbers = Float32Array | Int32Array | Int16Array | Uint8Array;

export type Shown =
  | { image: { shape: [number, number, number]; pixels: string } }
  | { cells: string[] }
  | { text: string }
  | { parts: { name: string; shown: Shown }[] };

export type Given =
  | { image: { shape: [number, number, number]; pixels: string } }
  | { cells: string[] }
  | { text: string }
  | { index: number }
  | { parts: { name: string; given: Given }[] };

export interface NumberColumn {
  name: string;
  kind: "number";
  at: number | null;
  knots: number[];
  values: number[];
  from?: number;
  grid?: number;
  decimals: number | null;
  low?: number | null;
  high?: number | null;
  head?: number;
  special?: number[];
  bit?: number;
  date?: { unit: number; form: string };
  span?: { unit: number; word: string };
}

export interface CategoryColumn {
  name: string;
  kind: "category";
  at: number | null;
  names: string[];
  rare?: string[];
  bit?: number;
}

export type Column =
  | NumberColumn
  | CategoryColumn
  | { name: string; kind: "given"; texts: string[]; none: string }
  | { name: string; kind: "empty" };

type Form =
  /** x is in [0, 1], or any number for pictures with noise on them. */
  | { form: "image"; shape: [number, number, number]; x?: "unit" | "open"; levels?: number; bits?: boolean }
  | { form: "cells"; columns: Column[] }
  | { form: "text"; characters?: string[]; length?: number }
  | { form: "parts"; parts: { name: string; at: number; width: number; reading: Reading }[] };

export type Reading = Form & { condition?: { labels: number[][]; none: number[] } };

export type Items =
  | { form: "image"; pixels: ArrayRef }
  | { form: "cells"; cells: string[][] }
  | { form: "text"; texts: string[] }
  | { form: "parts"; items: Shown[] };

export interface Dim {
  index: number;
  name: string;
  kl: number | null;
  active: boolean;
  mean: number;
  std: number;
  low: number;
  high: number;
  histogram: { edges: number[]; counts: number[] };
}

export type PointColumn =
  | { name: string; kind: "number"; values: ArrayRef }
  | { name: string; kind: "category"; names: string[]; values: ArrayRef };

export interface LatentMap {
  id: string;
  name: string;
  axes: [string, string];
  xy: ArrayRef;
  origin: number[];
  basis: [number[], number[]] | null;
  extent: [number, number, number, number];
  density: { shape: [number, number]; values: ArrayRef };
  off: number;
  contours: { of: "density" | "prior"; level: string; lines: [number, number][][] }[];
}

export interface Facts {
  version: number;
  source: "server" | "static";
  live: boolean;
  /** Of a live run: how many models it had saved. */
  edition?: number;
  title: string;
  preset: string;
  kind: string;
  objective: string;
  metrics: Record<string, unknown>;
  latent: number;
  /** Codes are entries of a codebook: whole numbers. */
  discrete?: boolean;
  labels: string[];
  conditional: boolean;
  /** How likely items on a path are, as a short name and in words; by importance draws, or else the ELBO at the centre. */
  nll: { name: string; says: string; drawn: boolean } | null;
  score: string;
  dims: Dim[];
  points: {
    count: number;
    codes: ArrayRef;
    label: ArrayRef | null;
    elbo: ArrayRef | null;
    kl: ArrayRef | null;
    columns: PointColumn[];
    shown: { count: number };
    sampled: string | null;
  };
  items?: Items | null;
  maps: LatentMap[];
  /** Maps that are made when they are asked for: they take up to minutes. */
  later: { id: string; name: string }[];
  reading: Reading;
  heldout?: ArrayRef | null;
  created_by: string;
}

/** One view into the bytes of `arrays.bin`; what lies outside them is an error, not garbage. */
export function view(ref: ArrayRef, bytes: ArrayBuffer): Numbers {
  const length = ref.shape.reduce((product, side) => product * side, 1);
  const types = { f4: Float32Array, i4: Int32Array, i2: Int16Array, u1: Uint8Array };
  return new types[ref.dtype](bytes, ref.at, length);
}
