// What a page cannot do by itself: copying, and counting down. Without this script the buttons stay hidden, and times are those of
// when the page was made.
"use strict";

for (const button of document.querySelectorAll("[data-copy]")) {
  const text = document.getElementById(button.dataset.copy);
  const told = document.getElementById("copied");
  const label = button.firstChild;
  button.hidden = false;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text.textContent);
      label.data = "Copied";
      told.textContent = "It was copied.";
    } catch {
      // Not allowed: it is selected, so that one stroke copies it.
      getSelection().selectAllChildren(text);
      told.textContent = "It is selected: copy it with the keyboard.";
    }
  });
}

// By how much time has passed, and not by the clock of whoever looks, which may be wrong.
const begun = performance.now();
const countdowns = [...document.querySelectorAll("time[data-seconds]")].map((time) => ({ time, seconds: Number(time.dataset.seconds) }));

function inTwoUnits(seconds) {
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86400)} d ${Math.floor((seconds % 86400) / 3600)} h`;
}

function count() {
  const passed = Math.floor((performance.now() - begun) / 1000);
  for (const { time, seconds } of countdowns) {
    const left = Math.max(0, seconds - passed);
    time.textContent = left === 0 ? "ended" : `${inTwoUnits(left)} left`;
  }
}

if (countdowns.length > 0) setInterval(count, 1000);
