/** One cell of a row: its text from the model's values, and the model's values from a text or from what it would hold.
 *
 * A number is straight between knots and goes on beyond the first and the last as the piece beside them does:
 *     value = on grid (values(x[at]) + from), kept within low and high;  one of `special` where x[head] says so
 */

import type { CategoryColumn, Column, NumberColumn } from "./facts";
import { parseDate, writeDate } from "./dates";
import { SourceError, type Condition } from "./source";

type Flat = ArrayLike<number>;
type Held = NumberColumn | CategoryColumn;

export function straight(at: number, x: Flat, y: Flat): number {
  let piece = 1;
  while (piece < x.length - 1 && x[piece] <= at) piece++;
  return y[piece - 1] + ((at - x[piece - 1]) * (y[piece] - y[piece - 1])) / (x[piece] - x[piece - 1]);
}

/** To the nearest whole number, halves to the even one. */
function whole(value: number): number {
  const below = Math.floor(value);
  if (value - below !== 0.5) return Math.round(value);
  return below % 2 === 0 ? below : below + 1;
}

export function onGrid(value: number, grid: number): number {
  if (!grid) return value;
  if (grid >= 1) return whole(value / grid) * grid;
  const ten = 10 ** Math.round(-Math.log10(grid));
  return whole(value * ten) / ten;
}

/** Six digits, as C's %g writes them. */
export function general(value: number): string {
  const [mantissa, exponent] = value.toExponential(5).split("e");
  const power = Number(exponent);
  if (power >= -4 && power < 6) return trimmed(value.toFixed(5 - power));
  return `${trimmed(mantissa)}e${power < 0 ? "-" : "+"}${String(Math.abs(power)).padStart(2, "0")}`;
}

const trimmed = (text: string): string => (text.includes(".") ? text.replace(/\.?0+$/, "") : text);

export function cellOf(column: Column, x: Flat, condition: Condition): string {
  if (column.kind === "given") return (condition === null ? column.none : column.texts[condition]) ?? "";
  if (column.kind === "empty") return "";
  const held = heldBy(column, x);
  if (!Number.isFinite(held)) return "";
  return column.kind === "category" ? (column.names[held] ?? "") : written(column, held);
}

/** What the model's values say of a cell: a number, or a category's place; NaN where there is nothing. */
function heldBy(column: Held, x: Flat): number {
  if (column.bit !== undefined && !(x[column.bit] >= 0.5)) return NaN;
  if (column.kind === "number") return valueOf(column, x);
  return column.at === null ? 0 : Math.round(x[column.at]);
}

function valueOf(column: NumberColumn, x: Flat): number {
  const special = column.special ?? [];
  const level = column.head === undefined ? Infinity : Math.round(x[column.head]);
  if (Number.isNaN(level)) return NaN;
  if (level < special.length) return special[level];
  const from = column.from ?? 0;
  if (column.at === null) return from;
  const grid = column.grid ?? 0;
  const value = onGrid(onGrid(straight(x[column.at], column.knots, column.values), grid) + from, grid);
  return Math.min(Math.max(value, column.low ?? -Infinity), column.high ?? Infinity);
}

function written(column: NumberColumn, value: number): string {
  if (column.date) return writeDate(value * column.date.unit, column.date.form);
  const text = column.decimals === null ? general(value) : value.toFixed(column.decimals);
  const plain = /^-[0.]*$/.test(text) ? text.slice(1) : text;
  return column.span ? `${plain} ${column.span.word}` : plain;
}

/** Write a cell's text into its places of x. */
export function fillCell(column: Column, text: string, x: Float32Array): void {
  if (column.kind === "empty" || column.kind === "given") return;
  const there = text.trim();
  put(column, !there ? NaN : column.kind === "category" ? levelOf(column, text) : numberOf(column, there), x);
}

/** Write what the model's values say of a cell into its places of x, as if it had been read from data. */
export function settleCell(column: Column, from: Flat, x: Float32Array): void {
  if (column.kind !== "empty" && column.kind !== "given") put(column, heldBy(column, from), x);
}

/** Write what a cell holds into its places of x. */
function put(column: Held, held: number, x: Float32Array): void {
  const there = !Number.isNaN(held);
  if (column.bit !== undefined) x[column.bit] = there ? 1 : 0;
  const head = column.kind === "number" ? column.head : undefined;
  for (const place of [column.at, head]) if (place !== null && place !== undefined) x[place] = NaN;
  if (!there) return;
  if (column.kind === "category") {
    if (column.at !== null) x[column.at] = held;
    return;
  }
  const special = column.special ?? [];
  const level = special.indexOf(held);
  if (head !== undefined) x[head] = level < 0 ? special.length : level;
  if (column.at !== null && level < 0) x[column.at] = straight(held - (column.from ?? 0), column.values, column.knots);
}

function levelOf(column: Column & { kind: "category" }, text: string): number {
  for (const name of [text, text.trim()]) { // some names have blanks around them
    const at = column.names.indexOf(name);
    if (at >= 0) return at;
    if (column.rare?.includes(name)) return column.names.length - 1;
  }
  const known = column.names.slice(0, 8).join(", ");
  throw new SourceError(`${column.name}: there is no “${text.trim()}”.`, "E212", `It is one of ${known}${column.names.length > 8 ? ", …" : ""}.`);
}

function numberOf(column: NumberColumn, text: string): number {
  const value = column.date ? parseDate(text, column.date.form) / column.date.unit : Number(text.split(/\s+/)[0]);
  if (Number.isFinite(value)) return value;
  const like = column.date ? `Write it as ${writeDate(0, column.date.form)}.` : "Write it like 12.5.";
  throw new SourceError(`${column.name}: “${text}” is not a ${column.date ? "date" : "number"}.`, "E212", like);
}
