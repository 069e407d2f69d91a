/** Dark or light: what the system says, until the button says otherwise (kept for the next visit). */

import { effect, signal } from "@preact/signals";

export type Theme = "light" | "dark";

const dark = window.matchMedia("(prefers-color-scheme: dark)");
const system = (): Theme => (dark.matches ? "dark" : "light");

function remembered(): Theme | null {
  try {
    const kept = localStorage.getItem("vaekit-theme");
    return kept === "dark" || kept === "light" ? kept : null;
  } catch {
    return null; // storage may be forbidden
  }
}

export const theme = signal<Theme>(remembered() ?? system());

dark.addEventListener("change", () => {
  if (!remembered()) theme.value = system();
});
effect(() => {
  document.documentElement.dataset.theme = theme.value;
});

export function toggleTheme(): void {
  theme.value = theme.value === "dark" ? "light" : "dark";
  try {
    localStorage.setItem("vaekit-theme", theme.value);
  } catch {
    // then it lasts as long as the page
  }
}

/** A colour of the style sheet, as the present theme has it. */
export function themed(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}
