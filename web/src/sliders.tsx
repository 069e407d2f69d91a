/** A slider for each active dimension, the one that says most first; locks, reset, a random walk, a temperature. */

import { signal, useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect } from "preact/hooks";
import type { Dim } from "./facts";
import { coordinate, number } from "./numbers";
import { code, middle, moveTo, run, said } from "./state";
import { drawn, walked } from "./walk";

const FIRST = 10; // as many as are seen without scrolling
const locked = signal<Set<number>>(new Set());
const temperature = signal(1);

function change(dim: Dim, value: number): void {
  const next = [...code.value];
  next[dim.index] = Math.max(dim.low, Math.min(dim.high, value));
  moveTo(next);
}

function Histogram({ dim }: { dim: Dim }): JSX.Element | null {
  const { edges, counts } = dim.histogram;
  const most = Math.max(...counts, 1);
  const wide = dim.high - dim.low || 1;
  return (
    <svg class="histogram" viewBox="0 0 100 20" preserveAspectRatio="none" aria-hidden="true">
      {counts.map((count, i) => (
        <rect
          key={i}
          x={(100 * (edges[i] - dim.low)) / wide}
          width={(96 * (edges[i + 1] - edges[i])) / wide}
          y={20 - (20 * count) / most}
          height={(20 * count) / most}
        />
      ))}
    </svg>
  );
}

function toggleLock(dim: Dim): void {
  const next = new Set(locked.value);
  if (!next.delete(dim.index)) next.add(dim.index);
  locked.value = next;
}

function Slider({ dim }: { dim: Dim }): JSX.Element {
  const value = code.value[dim.index] ?? 0;
  const held = locked.value.has(dim.index);
  const keys = (event: KeyboardEvent): void => {
    const by = { "+": 1, "=": 1, "-": -1, _: -1 }[event.key];
    if (!by) return;
    event.preventDefault();
    change(dim, value + (run.value!.facts.discrete ? by : (by * (dim.std || 1)) / 10));
  };
  return (
    <div class="slider" data-testid={`dim-${dim.index}`}>
      <label for={`z${dim.index}`}>
        {dim.name} <span class="muted">KL {coordinate(dim.kl)}</span>
      </label>
      <div class="track">
        <Histogram dim={dim} />
        <input
          id={`z${dim.index}`}
          data-testid={`slider-${dim.index}`}
          type="range"
          min={dim.low}
          max={dim.high}
          step={run.value!.facts.discrete ? 1 : (dim.high - dim.low) / 200 || 0.01}
          value={value}
          disabled={held}
          aria-valuetext={coordinate(value)}
          onInput={(event) => change(dim, event.currentTarget.valueAsNumber)}
          onKeyDown={keys}
        />
      </div>
      <output for={`z${dim.index}`}>{run.value!.facts.discrete ? number(value) : coordinate(value)}</output>
      <button
        type="button"
        class="small"
        data-testid={`lock-${dim.index}`}
        aria-pressed={held}
        aria-label={`Lock ${dim.name}`}
        title="A locked dimension stays where it is"
        onClick={() => toggleLock(dim)}
      >
        {held ? "Locked" : "Lock"}
      </button>
    </div>
  );
}

export function Sliders(): JSX.Element | null {
  const facts = run.value?.facts;
  const all = useSignal(false);
  if (!facts) return null;
  const active = facts.dims.filter((dim) => dim.active);
  const shown = all.value ? facts.dims : (active.length ? active : facts.dims).slice(0, FIRST);
  return (
    <>
      <p class="muted">
        {active.length} of {facts.dims.length} dimensions are in use{active.length > 1 && ", ordered by KL"}.
      </p>
      <div class="sliders">{shown.map((dim) => <Slider key={dim.index} dim={dim} />)}</div>
      {facts.dims.length > Math.min(FIRST, active.length || facts.dims.length) && (
        <button type="button" data-testid="dims-all" aria-expanded={all.value} onClick={() => (all.value = !all.value)}>
          {all.value ? "Only the first ones" : `All ${facts.dims.length} dimensions`}
        </button>
      )}
      <Moves />
    </>
  );
}

const walking = signal(false);
let timer: ReturnType<typeof setInterval> | undefined;

function walk(): void {
  walking.value = true;
  timer = setInterval(() => {
    moveTo(possible(walked(code.value, run.value!.facts.dims, locked.value, temperature.value)));
  }, 120);
}

function stop(): void {
  walking.value = false;
  clearInterval(timer);
}

function Moves(): JSX.Element {
  const facts = run.value!.facts;
  useEffect(() => stop, []);
  return (
    <div class="row moves">
      <button type="button" data-testid="reset" onClick={() => reset()}>Reset</button>
      <button type="button" data-testid="random" onClick={() => moveTo(possible(drawn(code.value, facts.dims, locked.value, temperature.value)))}>
        Random place
      </button>
      <button type="button" data-testid="walk" aria-pressed={walking.value} onClick={() => (walking.value ? stop() : walk())}>
        {walking.value ? "Stop walking" : "Random walk"}
      </button>
      <label class="field">
        <span>Temperature</span>
        <input
          data-testid="temperature"
          type="range"
          min="0"
          max="2"
          step="0.05"
          value={temperature.value}
          title="How far random places lie from the middle: 1 is as far as the data"
          onInput={(event) => (temperature.value = event.currentTarget.valueAsNumber)}
        />
        <output>{number(temperature.value, 2)}</output>
      </label>
    </div>
  );
}

/** Entries of a codebook are whole numbers within their range. */
function possible(next: number[]): number[] {
  const { discrete, dims } = run.value!.facts;
  if (!discrete) return next;
  const whole = [...next];
  for (const { index, low, high } of dims) whole[index] = Math.max(low, Math.min(high, Math.round(next[index])));
  return whole;
}

/** Back to the mean of the codes; locked dimensions stay. */
function reset(): void {
  const mean = middle(run.value!);
  moveTo(mean.map((value, d) => (locked.value.has(d) ? code.value[d] : value)));
  said.value = "Back in the middle";
}
