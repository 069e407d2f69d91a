/** Load the facts, take the source they name, draw the page. */

import { render } from "preact";
import { App } from "./app";
import { attempt, start } from "./state";
import { load } from "./source";
import { server } from "./server";
import "./style.css";

async function begin(): Promise<void> {
  const loaded = await attempt(load);
  if (!loaded) return;
  const from = loaded.facts.source === "static" ? await (await import("./static")).inThePage(loaded) : server;
  document.title = `${loaded.facts.title} · vaekit`;
  start(loaded, from);
}

render(<App />, document.getElementById("page")!);
void begin();
