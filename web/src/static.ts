import type { Loaded, Source } from "./source";
export async function inThePage(_: Loaded): Promise<Source> { throw new Error("later"); }
