/** Numbers as people read them: whole ones in full to ten million, small ones as 3.1e−4, a true minus sign. */

const MINUS = "−";

function exponential(value: number, digits: number): string {
  const [mantissa, exponent] = value.toExponential(digits - 1).split("e");
  return `${mantissa}e${exponent.replace("+", "")}`;
}

export function number(value: number | null | undefined, digits = 3): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  let text: string;
  if (Number.isInteger(value) && size <= 1e7) text = String(value);
  else if (size >= 1e7 || (size > 0 && size < 1e-3)) text = exponential(value, Math.min(digits, 2));
  else if (size >= 10 ** digits) text = String(Math.round(value));
  else text = String(Number(value.toPrecision(digits)));
  return text.replaceAll("-", MINUS);
}

/** A coordinate or a distance: two decimals, so that digits do not dance. */
export function coordinate(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  if (Math.abs(value) >= 1000) return number(value);
  const text = value.toFixed(2);
  return Number(text) === 0 ? "0.00" : text.replace("-", MINUS);
}

/** A number for a file: every digit, and the plain hyphen that programs read. */
export function exact(value: number): string {
  return Number.isFinite(value) ? String(Number(value.toPrecision(7))) : "";
}

/** A p-value in a few words; `n` held-out items cannot say less than 1 / (n + 1). */
export function chance(p: number): string {
  return p < 0.001 ? exponential(p, 2).replaceAll("-", MINUS) : String(Number(p.toPrecision(2)));
}
