/** Load the facts, take the source they name, draw the page. */

import { render } from "preact";
import { App } from "./app";
import { attempt, start } from "./state";
import { load, type Loaded, type Source } from "./source";
import { server } from "./server";
import "./style.css";

/** The model in the page: loaded only where there is no server to ask. */
async function inThePage(loaded: Loaded): Promise<Source> {
  return (await import("./static")).inThePage(loaded);
}

async function begin(): Promise<void> {
  const loaded = await attempt("load", load);
  if (!loaded) return;
  const from = loaded.facts.source === "static" ? await attempt("load", () => inThePage(loaded)) : server;
  if (!from) return;
  document.title = `${loaded.facts.title} · vaekit`;
  start(loaded, from);
}

render(<App />, document.getElementById("page")!);
void begin();
