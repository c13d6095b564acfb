
(() => {
  const table = document.querySelector("table"), body = table.tBodies[0], rows = [...body.rows];
  const heads = [...table.tHead.rows[0].cells];
  const keys = [
    (row, index) => index,
    row => parseInt(row.cells[1].title) || 0,
    row => row.cells[2].firstChild.dateTime,
  ];
  const sort = column => {
    const sign = heads[column].getAttribute("aria-sort") == "ascending" ? -1 : 1;
    for (const head of heads) head.removeAttribute("aria-sort");
    heads[column].setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
    const sorted = rows.map((row, index) => ({ row, isFile: row.className != "d", key: keys[column](row, index) }));
    sorted.sort((a, b) => a.isFile - b.isFile || sign * ((a.key > b.key) - (a.key < b.key)));
    const fragment = document.createDocumentFragment();
    for (const { row } of sorted) fragment.append(row);
    body.append(fragment);
  };
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.append(...head.childNodes);
    button.onclick = () => sort(column);
    head.append(button);
  });
})();
