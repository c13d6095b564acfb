// Marks the current page in the navigation and adds a copy button to each snippet.
// The pages are complete without it.

const page = (url) => new URL(url, document.baseURI).pathname.replace(/index\.html$/, "");

for (const link of document.querySelectorAll(".site-head nav a")) {
  if (page(link.href) === page(location.href)) link.setAttribute("aria-current", "page");
}

async function copy(code) {
  if (navigator.clipboard) {
    try {
      await navigator.clipboard.writeText(code.textContent);
      return "Copied";
    } catch {
      // Not permitted: select the text instead.
    }
  }
  getSelection().selectAllChildren(code);
  return "Selected";
}

for (const snippet of document.querySelectorAll("figure.snippet:not(.output)")) {
  const code = snippet.querySelector("code");
  const caption = snippet.querySelector("figcaption");
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy";
  button.textContent = "Copy";
  button.setAttribute("aria-live", "polite");
  button.addEventListener("click", async () => {
    button.textContent = await copy(code);
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  });
  caption.append(button);
}
