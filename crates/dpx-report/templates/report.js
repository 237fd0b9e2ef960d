for (const box of document.querySelectorAll(".find")) {
  box.hidden = false;
  const input = box.querySelector("input"), out = box.querySelector("output"), scope = box.closest("section");
  const items = [...scope.querySelectorAll(box.dataset.items)];
  input.oninput = () => {
    const wanted = input.value.trim().toLowerCase();
    let shown = 0;
    for (const item of items) {
      item.hidden = wanted !== "" && !item.textContent.toLowerCase().includes(wanted);
      shown += item.hidden ? 0 : 1;
    }
    scope.classList.toggle("finding", wanted !== "");
    out.textContent = wanted === "" ? "" : shown + " of " + items.length;
  };
}
