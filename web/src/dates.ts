/** Dates as `strftime` writes them, in nanoseconds since 1970, UTC. */

const MILLISECOND = 1e6; // nanoseconds
const MONTHS = "January February March April May June July August September October November December".split(" ");

const pad = (value: number, width = 2): string => String(value).padStart(width, "0");

export function writeDate(nanoseconds: number, form: string): string {
  const microseconds = Math.round(nanoseconds / 1000);
  const date = new Date(Math.floor(microseconds / 1000));
  const micro = microseconds - Math.floor(microseconds / 1e6) * 1e6;
  const hour = date.getUTCHours();
  const words: Record<string, string> = {
    Y: pad(date.getUTCFullYear(), 4),
    y: pad(date.getUTCFullYear() % 100),
    m: pad(date.getUTCMonth() + 1),
    d: pad(date.getUTCDate()),
    H: pad(hour),
    I: pad(hour % 12 || 12),
    M: pad(date.getUTCMinutes()),
    S: pad(date.getUTCSeconds()),
    f: pad(micro, 6),
    p: hour < 12 ? "AM" : "PM",
    b: MONTHS[date.getUTCMonth()].slice(0, 3),
    B: MONTHS[date.getUTCMonth()],
    z: "+0000",
    Z: "UTC",
    "%": "%",
  };
  return Number.isNaN(date.getTime()) ? "" : form.replace(/%(.)/g, (all, word: string) => words[word] ?? all);
}

const PATTERNS: Record<string, string> = {
  Y: "\\d{4}", y: "\\d{2}", m: "\\d{1,2}", d: "\\d{1,2}", H: "\\d{1,2}", I: "\\d{1,2}", M: "\\d{1,2}", S: "\\d{1,2}",
  f: "\\d{1,6}", p: "[AaPp][Mm]", b: "[A-Za-z]{3}", B: "[A-Za-z]+", z: "\\S+", Z: "\\S+",
};

/** NaN where the text is not of that form. */
export function parseDate(text: string, form: string): number {
  const order: string[] = [];
  const pattern = form.replace(/[.*+?^${}()|[\]\\]/g, "\\$&").replace(/%(.)/g, (_, word: string) => {
    order.push(word);
    return `(${PATTERNS[word] ?? ".*"})`;
  });
  const match = new RegExp(`^${pattern}$`).exec(text);
  if (!match) return NaN;
  const found = Object.fromEntries(order.map((word, i) => [word, match[i + 1]]));
  const whole = (word: string, otherwise: number): number => (found[word] === undefined ? otherwise : Number(found[word]));
  const named = found.b ?? found.B;
  const month = named ? MONTHS.findIndex((name) => name.slice(0, 3).toLowerCase() === named.slice(0, 3).toLowerCase()) : whole("m", 1) - 1;
  const short = whole("y", 70);
  const year = whole("Y", short < 69 ? 2000 + short : 1900 + short);
  const hour = found.I === undefined ? whole("H", 0) : (whole("I", 12) % 12) + (/^p/i.test(found.p ?? "") ? 12 : 0);
  const moment = Date.UTC(year, month, whole("d", 1), hour, whole("M", 0), whole("S", 0));
  return moment * MILLISECOND + Number((found.f ?? "0").padEnd(6, "0")) * 1000;
}
