/** The lines of a run's metrics as curves: one chart for each figure, a series for each split. */

export interface Curve {
  name: string;
  title: string;
  steps: number[];
  series: { name: string; values: (number | null)[] }[];
}

type Record_ = Record<string, unknown>;

const FIGURES: [string, string][] = [
  ["elbo", "ELBO (nats)"],
  ["loss", "Loss"],
  ["distortion", "Distortion (nats)"],
  ["rate", "Rate: the KL (nats)"],
  ["active_units", "Active dimensions"],
];

const isNumber = (value: unknown): value is number => typeof value === "number" && Number.isFinite(value);

export function curvesOf(records: Record_[]): Curve[] {
  const steps = [...new Set(records.map(({ step }) => step).filter(isNumber))].sort((a, b) => a - b);
  const splits = [...new Set(records.map(splitOf))];
  return FIGURES.filter(([name]) => records.some((record) => isNumber(record[name]))).map(([name, title]) => ({
    name,
    title,
    steps,
    series: splits.map((split) => ({ name: split, values: valuesOf(records, name, split, steps) })),
  }));
}

const WORDS: Record<string, string> = { train: "training", heldout: "held out" };
const splitOf = ({ split }: Record_): string => (typeof split === "string" ? (WORDS[split] ?? split) : "training");

function valuesOf(records: Record_[], name: string, split: string, steps: number[]): (number | null)[] {
  const known = new Map<unknown, unknown>();
  for (const record of records) if (splitOf(record) === split) known.set(record.step, record[name]);
  return steps.map((step) => {
    const value = known.get(step);
    return isNumber(value) ? value : null;
  });
}
