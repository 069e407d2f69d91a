/** Training as it goes: its curves, and a new map whenever there is one. */

import { signal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { number } from "./numbers";
import { curvesOf, type Curve } from "./records";
import { load, type News } from "./source";
import { attempt, run, source, start } from "./state";
import { theme, themed } from "./theme";
import { useWidth } from "./width";

const EVERY = 2000; // milliseconds
const AFTERWARDS = 15_000; // once it has ended: it may be resumed
const records = signal<News["records"]>([]);
const status = signal("");

async function news(known: { line: number }): Promise<void> {
  const found = await attempt("live", () => source.value!.live(known.line));
  if (!found) return;
  if (found.records.length) records.value = [...records.value, ...found.records];
  known.line = found.line;
  status.value = found.status;
  if (found.edition !== run.value?.facts.edition) {
    const loaded = await attempt("live", load);
    if (loaded) start(loaded, source.value!);
  }
}

export function LiveView(): JSX.Element {
  useEffect(() => {
    const known = { line: 0 };
    records.value = [];
    let stopped = false;
    const tick = async (): Promise<void> => {
      if (stopped) return;
      await news(known);
      setTimeout(tick, status.value === "running" || !status.value ? EVERY : AFTERWARDS);
    };
    void tick();
    return () => void (stopped = true);
  }, []);
  const last = records.value.at(-1);
  return (
    <>
      <p role="status" data-testid="live-status">
        {status.value || "waiting for the run"}
        {typeof last?.step === "number" && <> · step {number(last.step)}</>}
      </p>
      <div class="charts">
        {curvesOf(records.value).map((curve) => <Chart key={curve.name} curve={curve} />)}
      </div>
    </>
  );
}

function options(curve: Curve, width: number): uPlot.Options {
  const axis = { stroke: themed("--soft"), grid: { stroke: themed("--line"), width: 1 }, ticks: { stroke: themed("--line") } };
  const colours = [themed("--accent"), themed("--prior"), themed("--soft")];
  return {
    width,
    height: 190,
    cursor: { y: false },
    legend: { show: curve.series.length > 1, live: false },
    scales: { x: { time: false } },
    axes: [axis, { ...axis, size: 64 }],
    series: [
      { label: "step" },
      ...curve.series.map(({ name }, i) => ({ label: name, stroke: colours[i % 3], width: 2, spanGaps: true, dash: i ? [6, 4] : [] })),
    ],
  };
}

function Chart({ curve }: { curve: Curve }): JSX.Element {
  const [figure, width] = useWidth();
  const box = useRef<HTMLDivElement>(null);
  const last = curve.series.map(({ name, values }) => `${name} ${number(values.findLast((value) => value !== null), 4)}`);
  useLayoutEffect(() => {
    const data = [curve.steps, ...curve.series.map(({ values }) => values)] as uPlot.AlignedData;
    const plot = new uPlot(options(curve, width), data, box.current!);
    return () => plot.destroy();
  }, [curve, width, theme.value]);
  return (
    <figure ref={figure} data-testid={`curve-${curve.name}`}>
      <figcaption>{curve.title}: {last.join(", ")}</figcaption>
      <div ref={box} role="img" aria-label={`${curve.title} while training: ${last.join(", ")}`} />
    </figure>
  );
}
