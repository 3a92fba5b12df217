// Light, dark, or as the system has it; remembered in this browser.

const KEY = "srs.appearance";
const NEXT = { auto: "light", light: "dark", dark: "auto" };
const NAME = { auto: "as the system", light: "light", dark: "dark" };

export function setUpAppearance(button) {
  let choice = recall(KEY) ?? "auto";
  if (!(choice in NEXT)) choice = "auto";
  const show = () => {
    if (choice === "auto") delete document.documentElement.dataset.appearance;
    else document.documentElement.dataset.appearance = choice;
    button.dataset.choice = choice;
    button.setAttribute("aria-label", `Appearance: ${NAME[choice]}`);
    button.title = `Appearance: ${NAME[choice]}`;
  };
  button.onclick = () => {
    choice = NEXT[choice];
    remember(KEY, choice);
    show();
  };
  show();
}

// A browser may forbid a page to remember.
export function recall(key, storage = () => localStorage) {
  try {
    return storage().getItem(key);
  } catch {
    return null;
  }
}

export function remember(key, value, storage = () => localStorage) {
  try {
    if (value === null) storage().removeItem(key);
    else storage().setItem(key, value);
  } catch {
    // Then it is chosen anew next time.
  }
}
