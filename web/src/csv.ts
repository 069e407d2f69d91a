/** The selected points as a CSV file. */

import type { Loadedness } from "./state";
import { exact } from "./numbers";

/** A cell, quoted where it must be; what a spreadsheet would take for a formula is defused by a leading quote. */
export function cell(text: string): string {
  const safe = /^[=+\-@\t\r]/.test(text) && !Number.isFinite(Number(text)) ? `'${text}` : text;
  return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

export interface Column {
  name: string;
  text: (index: number) => string;
}

/** What is known of each point: number, label, columns, ELBO, KL, code. */
export function columnsOf({ facts, codes, array }: Loadedness): Column[] {
  const { label, columns, elbo, kl } = facts.points;
  const numeric = (name: string, values: ArrayLike<number>): Column => ({ name, text: (i) => exact(values[i]) });
  const named = (name: string, values: ArrayLike<number>, names: string[]): Column => ({
    name,
    text: (i) => (values[i] < 0 ? "" : (names[values[i]] ?? String(values[i]))),
  });
  return [
    { name: "index", text: String },
    ...(label ? [named("label", array(label), facts.labels)] : []),
    ...columns.map((one) =>
      one.kind === "number" ? numeric(one.name, array(one.values)) : named(one.name, array(one.values), one.names),
    ),
    ...(elbo ? [numeric("elbo", array(elbo))] : []),
    ...(kl ? [numeric("kl", array(kl))] : []),
    ...Array.from({ length: facts.latent }, (_, d) => ({
      name: `z${d}`,
      text: (i: number) => exact(codes[i * facts.latent + d]),
    })),
  ];
}

export function csv(columns: Column[], indices: number[]): string {
  const line = (cells: string[]): string => cells.map(cell).join(",") + "\r\n";
  return line(columns.map(({ name }) => name)) + indices.map((i) => line(columns.map(({ text }) => text(i)))).join("");
}
