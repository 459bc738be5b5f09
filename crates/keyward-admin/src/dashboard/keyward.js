// The copy button is the one thing that a page cannot do by itself: without this script it stays hidden.
"use strict";

for (const button of document.querySelectorAll("[data-copy]")) {
  const key = document.getElementById(button.dataset.copy);
  const told = document.getElementById("copied");
  button.hidden = false;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(key.textContent);
      button.textContent = "Copied";
      told.textContent = "The key was copied.";
    } catch {
      // Not allowed: the key is selected, so that one stroke copies it.
      getSelection().selectAllChildren(key);
      told.textContent = "The key is selected: copy it with the keyboard.";
    }
  });
}
