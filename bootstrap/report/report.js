// Adds a crosshair with exact values to the charts. Every value is a cell of a
// table on this page, so that nothing is lost where this does not run.
(() => {
  "use strict";

  const rowNearest = (xs, x) => {
    let lo = 0, hi = xs.length - 1;
    while (hi - lo > 1) {
      const mid = (lo + hi) >> 1;
      if (xs[mid] < x) lo = mid; else hi = mid;
    }
    return x - xs[lo] < xs[hi] - x ? lo : hi;
  };

  const element = (name, className, text) => {
    const e = document.createElement(name);
    e.className = className;
    if (text !== undefined) e.textContent = text;
    return e;
  };

  const connect = (table, figures) => {
    const heads = [...table.tHead.rows[0].cells].map((c) => c.textContent);
    const rows = [...table.tBodies[0].rows];
    const xs = rows.map((r) => Number(r.dataset.x));
    if (xs.length === 0) return;
    let current = -1;

    const charts = figures.map((figure) => {
      const area = figure.querySelector(".area");
      const cross = area.appendChild(element("i", "cross"));
      const tip = area.appendChild(element("div", "tip"));
      return { area, cross, tip, columns: figure.dataset.columns.split(" ").map(Number) };
    });

    const hide = () => {
      current = -1;
      for (const c of charts) c.area.classList.remove("on", "told");
    };

    const show = (i, chart) => {
      current = i;
      const cells = rows[i].cells;
      for (const c of charts) {
        c.cross.style.left = xs[i] / 10 + "%";
        c.area.classList.add("on");
        c.area.classList.toggle("told", c === chart);
      }
      const lines = chart.columns.map((n) => {
        const line = element("span", "value");
        line.append(element("span", "", heads[n]), element("b", "", cells[n].textContent));
        return line;
      });
      chart.tip.replaceChildren(element("b", "", cells[0].textContent), ...lines);
      chart.tip.classList.toggle("left", xs[i] > 550);
      chart.tip.style.left = xs[i] / 10 + "%";
      chart.area.setAttribute("aria-valuenow", i);
      chart.area.setAttribute("aria-valuetext",
        [cells[0].textContent, ...chart.columns.map((n) => heads[n] + " " + cells[n].textContent)].join("; "));
    };

    for (const chart of charts) {
      const { area } = chart;
      area.tabIndex = 0;
      area.setAttribute("role", "slider");
      area.setAttribute("aria-valuemin", 0);
      area.setAttribute("aria-valuemax", xs.length - 1);
      area.setAttribute("aria-valuenow", 0);
      const point = (e) => {
        const box = area.getBoundingClientRect();
        show(rowNearest(xs, (e.clientX - box.left) / box.width * 1000), chart);
      };
      area.addEventListener("pointermove", point);
      area.addEventListener("pointerdown", point);
      area.addEventListener("pointerleave", () => { if (document.activeElement !== area) hide(); });
      area.addEventListener("blur", hide);
      area.addEventListener("focus", () => { if (current < 0 && area.matches(":focus-visible")) show(0, chart); });
      area.addEventListener("keydown", (e) => {
        const page = Math.max(1, Math.round(xs.length / 10));
        const to = {
          ArrowRight: current + 1, ArrowUp: current + 1, ArrowLeft: current - 1, ArrowDown: current - 1,
          PageUp: current + page, PageDown: current - page, Home: 0, End: xs.length - 1,
        }[e.key];
        if (e.key === "Escape") { hide(); return; }
        if (to === undefined) return;
        e.preventDefault();
        show(Math.min(Math.max(to, 0), xs.length - 1), chart);
      });
    }
  };

  for (const table of document.querySelectorAll("table[id]")) {
    connect(table, [...document.querySelectorAll(`figure[data-table="${table.id}"]`)]);
  }

  // A printed page has no details to open. What was closed is closed again afterwards.
  const closed = () => document.querySelectorAll("details:not([open])");
  let opened = [];
  addEventListener("beforeprint", () => { opened = [...closed()].filter((d) => !d.querySelector("table[id]")); opened.forEach((d) => { d.open = true; }); });
  addEventListener("afterprint", () => { opened.forEach((d) => { d.open = false; }); opened = []; });
})();
