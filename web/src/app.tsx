/** The page: the map and what is decoded there, then everything one can do with them. */

import type { JSX } from "preact";
import { DecodedView } from "./decoded";
import { Legend } from "./legend";
import { LatentMapView } from "./map";
import { number } from "./numbers";
import { run, said, trouble } from "./state";
import { theme, toggleTheme } from "./theme";
import { Toolbar } from "./toolbar";

const FIGURES: [string, string][] = [
  ["elbo", "ELBO"],
  ["rate", "rate"],
  ["distortion", "distortion"],
  ["nll", "−log p(x)"],
  ["active_units", "active dimensions"],
];

function Head(): JSX.Element {
  const facts = run.value?.facts;
  const figures = FIGURES.filter(([key]) => typeof facts?.metrics?.[key] === "number");
  return (
    <header class="head">
      <div>
        <h1 data-testid="title">{facts?.title ?? "Explorer"}</h1>
        {facts && (
          <p class="muted">
            {facts.kind} · {facts.preset} · {number(facts.points.count)} points · {facts.latent} latent dimensions
            {facts.points.sampled && <> · {facts.points.sampled}</>}
          </p>
        )}
      </div>
      <dl class="figures">
        {figures.map(([key, name]) => (
          <div key={key}>
            <dt>{name}</dt>
            <dd>{number(facts!.metrics[key] as number, 4)}</dd>
          </div>
        ))}
      </dl>
      <button type="button" data-testid="theme" onClick={toggleTheme}>
        {theme.value === "dark" ? "Light" : "Dark"}
      </button>
    </header>
  );
}

export function Trouble(): JSX.Element {
  return (
    <div role="alert" class={trouble.value ? "trouble" : "unseen"} data-testid="trouble">
      {trouble.value && (
        <>
          <b>{trouble.value.message}</b> {trouble.value.hint}
        </>
      )}
    </div>
  );
}

export function App(): JSX.Element {
  return (
    <>
      <a class="skip" href="#decoded">Skip to what is decoded</a>
      <Head />
      <Trouble />
      <p class="unseen" aria-live="polite" data-testid="said">{said.value}</p>
      {run.value && (
        <main>
          <section class="card map-card" aria-labelledby="map-title">
            <h2 id="map-title">Map of the latent space</h2>
            <Toolbar />
            <LatentMapView />
            <Legend />
          </section>
          <section class="card decoded-card" id="decoded" aria-labelledby="decoded-title">
            <h2 id="decoded-title">Decoded</h2>
            <DecodedView />
          </section>
        </main>
      )}
    </>
  );
}
