/** The page: the map and what is decoded there, then everything one can do with them. */

import type { ComponentChildren, JSX } from "preact";
import { DecodedTitle, DecodedView } from "./decoded";
import { GroupsView } from "./groups";
import { Legend } from "./legend";
import { LiveView } from "./live";
import { LatentMapView } from "./map";
import { number } from "./numbers";
import { OwnView } from "./own";
import { PathView } from "./path";
import { SelectionView } from "./selection";
import { Sliders } from "./sliders";
import { run, said, trouble } from "./state";
import { theme, toggleTheme } from "./theme";
import { ClearSelected, Toolbar, Zoom } from "./toolbar";
import { Words } from "./words";

const FIGURES: [string, string][] = [
  ["elbo", "ELBO"],
  ["rate", "KL (rate)"],
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
            {facts.latent > 0 && <> · <a href="#words">what the words mean</a></>}
          </p>
        )}
      </div>
      <dl class="figures head-figures">
        {figures.map(([key, name]) => (
          <div key={key}>
            <dt>{name}</dt>
            <dd>{number(facts!.metrics[key] as number, 4)}</dd>
          </div>
        ))}
      </dl>
      <button type="button" data-testid="theme" onClick={toggleTheme}>
        {theme.value === "dark" ? "Light" : "Dark"} theme
      </button>
    </header>
  );
}

export function Trouble(): JSX.Element {
  return (
    <div role="alert" class={trouble.value ? "trouble" : "unseen"} data-testid="trouble">
      {trouble.value && (
        <>
          <span>
            <b>{trouble.value.message}</b> {trouble.value.hint}
          </span>
          <button type="button" class="small" data-testid="trouble-close" onClick={() => (trouble.value = null)}>
            Close
          </button>
        </>
      )}
    </div>
  );
}

interface CardProps {
  id: string;
  title: ComponentChildren;
  wide?: boolean;
  children: ComponentChildren;
}

function Card({ id, title, wide, children }: CardProps): JSX.Element {
  return (
    <section id={id} class={`card ${wide ? "wide" : ""}`} aria-labelledby={`${id}-title`}>
      <h2 id={`${id}-title`}>{title}</h2>
      {children}
    </section>
  );
}

export function App(): JSX.Element {
  return (
    <>
      <a class="skip" href="#decoded">Skip to what is decoded</a>
      <Head />
      <Trouble />
      <p class="unseen" aria-live="polite" data-testid="said">{said.value}</p>
      {run.value && run.value.facts.latent > 0 && (
        <main>
          <div class="map-column">
            <section class="card" aria-labelledby="map-title">
              <h2 id="map-title">Map of the latent space</h2>
              <Toolbar />
              <div class="map-frame">
                <LatentMapView />
                <Zoom />
                <ClearSelected />
              </div>
              <Legend />
            </section>
          </div>
          <div class="side">
            <Card id="decoded" title={<DecodedTitle />}><DecodedView /></Card>
            <Card id="sliders" title="Dimensions"><Sliders /></Card>
          </div>
          {run.value.facts.live && <Card id="live" title="Training" wide><LiveView /></Card>}
          <Card id="path" title="Between two places" wide><PathView /></Card>
          <Card id="own" title="Your own item"><OwnView /></Card>
          <Card id="groups" title="Arithmetic with groups"><GroupsView /></Card>
          <Card id="selection" title="Selected" wide><SelectionView /></Card>
          <Card id="words" title="Words and keys" wide><Words /></Card>
        </main>
      )}
      {run.value?.facts.live && run.value.facts.latent === 0 && (
        <main>
          <Card id="live" title="Training" wide>
            <p class="muted">The map appears when the training has saved its first model.</p>
            <LiveView />
          </Card>
        </main>
      )}
    </>
  );
}
