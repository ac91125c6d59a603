(() => {
  const byId = id => document.getElementById(id);
  const boards = [...document.querySelectorAll("section.board")];
  const controls = {board: byId("board"), search: byId("search"), weights: byId("weights"), largest: byId("largest")};

  function show() {
    const chosen = Number(controls.board.value);
    boards.forEach((board, index) => { board.hidden = index !== chosen; });
    const name = controls.search.value.trim().toLowerCase();
    const largest = controls.largest.value === "" ? Infinity : Number(controls.largest.value);
    let shown = 0, all = 0;
    for (const row of boards[chosen].querySelectorAll("tbody tr[data-name]")) {
      const fits = row.dataset.name.includes(name)
        && (!controls.weights.value || row.dataset.weights === controls.weights.value)
        && Number(row.dataset.parameters) <= largest;
      row.hidden = !fits;
      shown += fits; all += 1;
    }
    byId("status").textContent = shown === all ? `${all} ranked` : `${shown} of ${all} ranked submissions shown`;
    const state = new URLSearchParams({board: boards[chosen].querySelector("h2").textContent});
    try { history.replaceState(null, "", "#" + state); } catch { /* some browsers refuse it for local files */ }
  }

  function compare(a, b) {
    const [x, y] = [Number(a), Number(b)];
    return Number.isNaN(x) || Number.isNaN(y) ? a.localeCompare(b) : x - y;
  }

  function sort(header, column) {
    const table = header.closest("table");
    const down = header.getAttribute("aria-sort") !== "descending";
    table.querySelectorAll("th").forEach(other => other.removeAttribute("aria-sort"));
    header.setAttribute("aria-sort", down ? "descending" : "ascending");
    const body = table.tBodies[0];
    const rows = [...body.rows].sort((a, b) => compare(a.cells[column].dataset.value, b.cells[column].dataset.value));
    if (down) rows.reverse();
    body.append(...rows);
  }

  for (const board of boards) {
    board.querySelectorAll("thead th").forEach((header, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = header.textContent;
      button.addEventListener("click", () => sort(header, column));
      header.replaceChildren(button);
    });
  }
  const wanted = new URLSearchParams(location.hash.slice(1)).get("board");
  const index = boards.findIndex(board => board.querySelector("h2").textContent === wanted);
  if (index >= 0) controls.board.value = String(index);
  for (const control of Object.values(controls)) {
    control.addEventListener("input", show);
    control.addEventListener("change", show);
  }
  byId("controls").hidden = false;
  show();
})();
