/** A row as people paste it: cells between tabs, commas or semicolons, quoted or not. */

export function cellsOf(line: string): string[] {
  const text = line.replace(/\r?\n[\s\S]*$/, "");
  const separator = ["\t", ";", ","].find((sign) => text.includes(sign)) ?? ",";
  const cells: string[] = [""];
  let quoted = false;
  for (let at = 0; at < text.length; at++) {
    const letter = text[at];
    if (letter === '"' && quoted && text[at + 1] === '"') cells[cells.length - 1] += text[++at];
    else if (letter === '"') quoted = !quoted;
    else if (letter === separator && !quoted) cells.push("");
    else cells[cells.length - 1] += letter;
  }
  return cells.map((cell) => cell.trim());
}
