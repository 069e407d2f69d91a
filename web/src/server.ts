/** The source that asks the server which served the page. */

import { fetched, type Condition, type Encoded, type News, type Path, type Source } from "./source";
import type { Given, Shown } from "./facts";

async function post<Answer>(verb: string, body: unknown): Promise<Answer> {
  const headers = { "Content-Type": "application/json", "X-Vaekit": "1" };
  return (await fetched(`api/${verb}`, { method: "POST", headers, body: JSON.stringify(body) })).json();
}

export const server: Source = {
  decode: async (codes: number[][], condition: Condition): Promise<Shown[]> =>
    (await post<{ items: Shown[] }>("decode", { codes, condition })).items,
  encode: (item: Given, condition: Condition) => post<Encoded>("encode", { item, condition }),
  path: (codes: number[][], condition: Condition) => post<Path>("path", { codes, condition }),
  live: (after: number) => post<News>("live", { after }),
  draw: (map: string) => post<void>("draw", { id: map }),
};
