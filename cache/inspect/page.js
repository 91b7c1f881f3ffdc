
(() => {
  const bar = document.getElementById("refresh");
  const box = bar.querySelector("input");
  const note = bar.querySelector("output");
  const pause = Number(document.body.dataset.interval) * 1000;

  async function refresh() {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (!answer.ok) throw new Error(String(answer.status));
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const old of document.querySelectorAll("[data-live]")) {
      const next = fresh.getElementById(old.id);
      if (next && !old.contains(document.activeElement)) old.replaceWith(next);
    }
  }

  async function round() {
    if (box.checked && !document.hidden) {
      try {
        await refresh();
        note.textContent = "";
      } catch (e) {
        note.textContent = "not refreshed: " + e.message;
      }
    }
    setTimeout(round, pause);
  }

  bar.hidden = false;
  setTimeout(round, pause);
})();
