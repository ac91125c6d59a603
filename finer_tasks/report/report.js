(() => {
  const PAGE = 50;

  async function unpack(text) {
    const bytes = Uint8Array.from(atob(text), c => c.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return JSON.parse(await new Response(stream).text());
  }

  async function open(section) {
    const tasks = await unpack(document.getElementById("documents-" + section.dataset.number).textContent);
    const [task, which] = section.querySelectorAll("select");
    const search = section.querySelector("input");
    const status = section.querySelector("[role=status]");
    const body = section.querySelector("tbody");
    let page = 0;
    tasks.forEach((entry, index) => task.append(new Option(entry.task, index)));

    function matches() {
      const rows = tasks[task.value], text = search.value.trim().toLowerCase();
      return rows.id.map((_, i) => i).filter(i =>
        (which.value === "" || (which.value === "1") === (rows.em[i] === 1))
        && (!text || [rows.id[i], rows.label[i], rows.answer[i]].some(field => field.toLowerCase().includes(text))));
    }

    function show() {
      const rows = tasks[task.value], found = matches();
      const pages = Math.max(1, Math.ceil(found.length / PAGE));
      page = Math.min(Math.max(0, page), pages - 1);
      body.replaceChildren(...found.slice(page * PAGE, (page + 1) * PAGE).map(i => {
        const row = document.createElement("tr");
        for (const value of [rows.id[i], rows.label[i], rows.coarse[i], rows.answer[i], rows.em[i], rows.reason[i]]) {
          const cell = document.createElement("td");
          cell.className = "wrap";
          cell.textContent = value;
          row.append(cell);
        }
        return row;
      }));
      status.textContent = `${found.length} documents, page ${page + 1} of ${pages}`;
    }

    for (const control of [task, which, search]) {
      for (const event of ["input", "change"]) control.addEventListener(event, () => { page = 0; show(); });
    }
    section.querySelectorAll("button").forEach(button =>
      button.addEventListener("click", () => { page += Number(button.dataset.step); show(); }));
    show();
  }

  document.querySelectorAll("details.documents").forEach(section =>
    section.addEventListener("toggle", () => open(section), {once: true}));
})();
